/* cli/tensors.h - tensors of files: what `usta infer` reads and writes. */
#ifndef USTA_CLI_TENSORS_H
#define USTA_CLI_TENSORS_H

#include "conf/json.h"
#include "ir/type.h"

#define US_TENSOR_FILE_MAX ((size_t)4 << 30) /* bytes of a tensor file we read */

/* A .npy file, or a .json file: nested arrays of strings, numbers or booleans for a tensor, an array of such for a sequence, an
 * object for a map. `want` (may be NULL) decides which, and the element type of JSON values, and turns numbers of .npy
 * files into the type the model takes when that loses nothing by kind (float64 to float32, integers to integers that
 * hold them). */
us_err us_value_file_read(us_ctx *c, us_arena *a, const char *path, const us_type *want,
                          us_value *out) US_MUST;
/* Writes DIR/<name>.npy, or .json for strings and everything that is not a tensor; "/" and ":" of the name become "_", and
 * a name of more than 230 bytes its first 200 and a hash. */
us_err us_value_file_write(us_ctx *c, us_arena *a, const char *dir, us_sv name,
                           const us_value *v, char **path) US_MUST;
/* Where that goes. */
us_err us_value_file_path(us_ctx *c, us_arena *a, const char *dir, us_sv name,
                          const us_value *v, char **path) US_MUST;
/* Nested arrays; maps become objects (keys as text), absent values null. A new reference. */
us_err us_value_json(us_ctx *c, const us_value *v, json_t **out) US_MUST;
/* A tensor of random elements for this type; dimensions that are not known become 1. Floats are uniform in [0, 1),
 * integers in the ten numbers from 0, or from lo, on that are in [lo, hi], strings single letters; the same seed and index give the same contents. */
us_err us_tensor_random(us_ctx *c, us_arena *a, const us_type *t, us_sv name, uint64_t seed,
                        uint64_t index, int64_t lo, int64_t hi, us_tensor *out) US_MUST;

#endif
