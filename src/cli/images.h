/* cli/images.h - pictures as inputs of a model: `usta infer M -i NAME=photo.jpg`, or a folder of them.
 *
 * The input's type decides what is not said by an option: layout and channels by where a 1 or a 3 stands, height and width. A
 * model that takes bytes (uint8 [n], for ImageDecoder) gets the file as it is.
 */
#ifndef USTA_CLI_IMAGES_H
#define USTA_CLI_IMAGES_H

#include "conf/opt.h"
#include "image/prep.h"
#include "ir/type.h"

typedef struct us_image_args {
    int64_t shorter, crop; /* 0: not given */
    double scale;          /* NaN: not given */
    us_texts mean, std;
    const char *layout, *color;
} us_image_args;

/* The options, for a table of a command whose struct S holds a us_image_args `f`. */
/* clang-format off */
#define US_IMAGE_OPTS(S, f)                                                                                                    \
    {US_OPT_INT, 0, "resize-shorter", offsetof(S, f.shorter), "0", 0, US_IMAGE_MAX_SIDE, "PIXELS", "", NULL,                   \
     "pictures: first resize so that the shorter side has this; then the input's size is cut from the middle"},                \
    {US_OPT_INT, 0, "center-crop", offsetof(S, f.crop), "0", 0, US_IMAGE_MAX_SIDE, "PIXELS", "", NULL,                         \
     "pictures: cut a square of this from the middle, for inputs of any size"},                                                \
    {US_OPT_F64, 0, "scale", offsetof(S, f.scale), "", -1e9, 1e9, "", "", NULL,                                                \
     "pictures: element = (pixel * scale - mean) / std; default 1/255 for inputs of floats, 1 for integers"},                  \
    {US_OPT_TEXTS, 0, "mean", offsetof(S, f.mean), "[]", 0, 0, "M,M,M", "", NULL,                                              \
     "pictures: subtracted after scaling, one number or one per channel; else 0"},                                         \
    {US_OPT_TEXTS, 0, "std", offsetof(S, f.std), "[]", 0, 0, "S,S,S", "", NULL,                                                \
     "pictures: divided by, one number or one per channel; else 1"},                                                       \
    {US_OPT_CHOICE, 0, "layout", offsetof(S, f.layout), "auto", 0, 0, "", "auto|nchw|nhwc", NULL,                              \
     "pictures: where the channels stand; auto: where the input's type has 1 or 3"},                                           \
    {US_OPT_CHOICE, 0, "color", offsetof(S, f.color), "auto", 0, 0, "", "auto|rgb|bgr|gray", NULL,                             \
     "pictures: order of the channels; auto: rgb, or gray for one channel"}
/* clang-format on */

/* The pictures of one input. */
typedef struct us_pictures {
    us_sv name; /* of the input */
    const char **files;
    size_t n;
    size_t batch; /* pictures of one run */
    bool bytes;   /* files as they are */
    us_dtype dtype;
    int32_t rank;
    us_pixels pixels;
    us_image_prep prep;
} us_pictures;

/* Whether -i NAME=path means pictures: a name of an image, or a folder. */
bool us_pictures_given(const char *path);
/* US_ARG, US_SHAPE: the input or the options do not fit pictures. */
us_err us_pictures_open(us_ctx *c, us_arena *a, us_sv name, const us_type *type,
                        const char *path, const us_image_args *args, us_pictures *out) US_MUST;
/* Number of runs it takes, and the input of run i. */
size_t us_pictures_n_runs(const us_pictures *p);
us_err us_pictures_read(us_ctx *c, us_arena *a, const us_pictures *p, size_t i_run,
                        us_value *out) US_MUST;

/* Outputs of several runs as one: tensors along their first axis (scalars become a vector), sequences one after another. */
us_err us_values_join(us_ctx *c, us_arena *a, us_sv name, size_t n, const us_value *parts,
                      us_value *out) US_MUST;

#endif
