/* ir/attend.h - softmax(scale Q K' + added) V over heads, as every attention operator runs it.
 *
 * An operator says how its matrices lie: for each outer axis (batch, head, group, whatever) the step of each side, and two steps inside.
 * Nothing is moved, whatever way an exporter wrote heads. A block of queries of one item goes through both products while its scores are in the
 * first-level cache. Blocks depend on the shapes alone and a row of scores is never divided, so threads change no bit.
 *
 * Keys out of sight (causal, windows, lengths) take no part in the softmax; their scores and values must still be numbers, except
 * those behind the last key that any query of the batch sees.
 */
#ifndef USTA_IR_ATTEND_H
#define USTA_IR_ATTEND_H

#include "ir/op.h"
#include "kernel/kernels.h"

typedef enum us_attend_side {
    US_ATTEND_Q,    /* rows: queries, columns: numbers of a head */
    US_ATTEND_K,    /* keys, numbers */
    US_ATTEND_V,    /* keys, numbers of a value */
    US_ATTEND_ADD,  /* queries, keys: added to the scores */
    US_ATTEND_ADD2, /* and this */
    US_ATTEND_SINK, /* one number for an item: a score of no key, which takes part in the sum */
    US_ATTEND_Y,    /* queries, numbers of a value */
    US_ATTEND_SIDES
} us_attend_side;

/* Where element (row, column) of item (i...) lies, in floats. A step of 0 repeats. Of Q, K and V one of row and col is 1, of what is added and of Y
 * col. */
typedef struct us_attend_lies {
    size_t outer[US_MAX_RANK];
    size_t row, col;
} us_attend_lies;

typedef struct us_attend {
    int n_outer;
    /* items along each outer axis; the first is the batch for `end` */
    size_t outer[US_MAX_RANK];
    us_attend_lies at[US_ATTEND_SIDES];
    size_t len, keys, d, dv; /* queries, keys, numbers of a head, of a value */
    bool add, add2;          /* add2 only with add */
    float scale, softcap;    /* softcap 0: none */
    bool causal;             /* query i sees the first `past` + i + 1 keys; not with ends */
    size_t past;
    bool ends;     /* us_attend_data.end says what a query sees */
    size_t window; /* at most so many keys before the end; 0: all */
    bool zeros;    /* a query whose scores are all -INFINITY gets zeros, not NaN */
    bool sink;
    bool shows,
        shows_weights; /* us_attend_data.shown is wanted: the sums, or what the softmax makes of them */
    /* set by us_attend_settle */
    const us_kernels *kernels;
    size_t items, rows, blocks;                        /* rows of a block; blocks of an item */
    size_t parts, per_part;                            /* blocks of all items, in turn */
    size_t k_bytes, v_bytes, s_bytes, row_bytes, each; /* scratch of a part, each from `each` */
    bool pack_v, one;
} us_attend;

typedef struct us_attend_data {
    const float *p[US_ATTEND_Y];
    float *y;
    const int64_t *end; /* [outer[0], len] */
    /* [items, len, keys]; keys that take no part are not written where sums are shown */
    float *shown;
} us_attend_data;

/* How it is cut, and what scratch it takes; false: steps that products do not take, no element at all, or
 * sizes past all bounds. */
bool us_attend_settle(us_attend *a, const us_kernels *k, size_t *scratch) US_MUST;
double us_attend_work(const us_attend *a); /* products summed */
void us_attend_run(const us_attend *a, struct us_pool *pool, const us_attend_data *x,
                   void *scratch);

#endif
