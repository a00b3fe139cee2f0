/* bench/infer_ort.h - ONNX Runtime's C interface, loaded at run time, as far as bench_infer needs it.
 *
 * Its interface is a table of functions whose order is fixed for good (an addition goes to the end), so the few that are needed
 * are named in infer_ort.c by their place, and no header of theirs is.
 */
#ifndef USTA_BENCH_INFER_ORT_H
#define USTA_BENCH_INFER_ORT_H

#include <stdbool.h>
#include <usta/usta.h>

enum { MAX_IO = 64 };

typedef void (*ort_fn)(void);
typedef struct ort_side {
    const ort_fn *f;
    void *env, *options, *session, *memory, *allocator;
    const char *in_name[MAX_IO], *out_name[MAX_IO];
    void *in[MAX_IO], *out[MAX_IO];
    size_t n_in, n_out;
    bool
        renew; /* outputs are made at every run: what is no tensor, or has another shape than its file says */
} ort_side;

/* Ends the program with a line on stderr. */
_Noreturn void die(const char *what, const char *why);

void ort_load(ort_side *o, const char *lib, int threads);
void ort_open(ort_side *o, const char *model);
/* Inputs over these values (tensors of numbers are not copied); outputs by the model's names. */
void ort_bind(ort_side *o, const usta_model *m, const usta_value *in, size_t n_in);
/* The first run of a session makes its outputs, later ones write into them, unless they are to be renewed. */
void ort_run(ort_side *o);
/* After the first run: finds out whether outputs can be kept. */
void ort_settle(ort_side *o);
/* The largest difference of an output relative to its largest magnitude; infinite where kinds, types, sizes or strings differ. */
double ort_apart(const ort_side *o, const usta_value *ours);
void ort_close(ort_side *o);

#endif
