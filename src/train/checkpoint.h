/* train/checkpoint.h - everything a training run needs to go on as if it had never stopped.
 *
 *   offset  bytes
 *   0       8     "USTACKPT"
 *   8       4     version (1)
 *   12      4     state values per weight: 1 or 2
 *   16      8     fingerprint of options, seed and data
 *   24      8     whole epochs done
 *   32      8     steps done
 *   40      8     best epoch so far (0: none)
 *   48      8     best validation loss (binary64)
 *   56      8     weights, n
 *   64      8     epochs in the history, h
 *   72      4n(2 + states)  weights, best weights, states (binary32)
 *   ...     40h   per epoch: training loss, validation loss, metric, learning rate, gradient norm (binary64)
 *   end     4     CRC-32C of all bytes before
 * Little-endian. Random numbers need no state: they are keyed by epoch and step.
 */
#ifndef USTA_TRAIN_CHECKPOINT_H
#define USTA_TRAIN_CHECKPOINT_H

#include "train/train.h"

#define US_CKPT_VERSION    1
#define US_CKPT_MAX_VALUES ((uint64_t)1 << 32)
#define US_CKPT_MAX_EPOCHS ((uint64_t)1 << 20)
#define US_CKPT_MAX_BYTES  ((uint64_t)64 << 30)

typedef struct us_ckpt {
    uint64_t fingerprint;
    uint64_t epochs, steps;
    uint64_t best_epoch;
    double best_loss;
    size_t n_values; /* weights and biases */
    size_t n_slots;  /* 1 or 2 */
    float *values, *best, *slots[2];
    us_train_epoch *history;
    size_t n_history;
} us_ckpt;

/* Appends the file's bytes to b. */
us_err us_ckpt_print(us_ctx *c, const us_ckpt *k, us_buf *b) US_MUST;
/* Arrays are copied into the arena. US_FORMAT: not a checkpoint, cut short, damaged, or of another version. */
us_err us_ckpt_parse(us_ctx *c, us_arena *a, const char *name, const void *p, size_t n,
                     us_ckpt *out) US_MUST;
us_err us_ckpt_write(us_ctx *c, const char *path, const us_ckpt *k) US_MUST; /* atomic */
/* US_NOTFOUND when there is no such file. */
us_err us_ckpt_read(us_ctx *c, us_arena *a, const char *path, us_ckpt *out) US_MUST;

#endif
