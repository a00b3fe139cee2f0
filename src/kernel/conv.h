/* kernel/conv.h - f32 convolutions in two dimensions over blocked channels.
 *
 * Layout. A blocked tensor is [N, ceil(C/B), H, W, B]: B neighbouring channels of one pixel lie together, one vector wide. Lanes
 * past C hold anything: no kernel here lets them reach another lane. The output is always blocked; the input is
 * blocked or, where that saves a reorder (a first layer with 3 channels, say), plain [N, C, H, W].
 *
 * A convolution goes through three steps:
 *     us_conv_choose   which algorithm, by a static cost model over a table of candidates (conv.c): once per plan
 *     us_conv_pack     its weights and bias in the order in which the algorithm reads them: once per plan
 *     us_conv_open     the geometry of one set of shapes: once per binding
 * after which us_conv_run only computes. Work is split over batch, output channels and rows: an output element is always the
 * same sum in the same order, so threads change no bit.
 *
 * Epilogue, in registers: y = min(hi, max(lo, sum + bias + residual)); NaN passes through.
 * One dimension is two with H = 1.
 */
#ifndef USTA_KERNEL_CONV_H
#define USTA_KERNEL_CONV_H

#include "base/err.h"

struct us_pool;

typedef struct us_conv_dims {
    size_t n, c, h, w;             /* input */
    size_t m, oh, ow;              /* output; us_conv_choose takes ow 0 as not known */
    size_t kh, kw, sh, sw, dh, dw; /* kernel, stride, dilation: at least 1 */
    ptrdiff_t top,
        left; /* padding before; what is after follows from oh and ow. Negative crops */
    size_t groups;
    bool plain; /* x is [n, c, h, w] */
} us_conv_dims;

/* --- what an instruction set offers ------------------------------------------------------------------------- */

enum { US_CONV_MAX_Q = 4, US_CONV_MAX_P = 14 };

/* n times p output pixels, neighbours in a row, of q output blocks: the register tile, n times side by side. The input is walked block after block, in each
 * tap after tap, in each lane after lane; weights lie in that order, q blocks side by side:
 * [input block][all taps][lane][q][B]. `skip` taps of each block are passed over (rows of the kernel above the image). */
typedef struct us_conv_tile {
    size_t n, p, q;
    const float *x;        /* pixel 0 under tap 0 */
    const ptrdiff_t *taps; /* floats from tap 0 */
    size_t n_taps, skip;
    size_t n_blocks, plane;   /* input blocks, floats from one to the next */
    size_t first;             /* lane of the first block at which the group begins */
    size_t lanes, last_lanes; /* of a block; where the group ends in the last one */
    const float *w;
    size_t all_taps;
    /* weights that are wanted next, ahead_tap floats of them brought near at each tap */
    const float *ahead;
    size_t ahead_tap;
    size_t y_first,
        y_last; /* lanes of the group: from y_first of the first output block to y_last of the last; 0 and B: all. Others stay as they are */
    float *y;
    size_t y_step,
        y_plane; /* floats from an output pixel to the next, from an output block to the next */
    const float *bias; /* q * B; NULL: the sum goes on from y */
    const float *res;  /* as y, or NULL */
    float lo, hi;
    bool more;    /* the sum is not finished: neither residual nor clamp */
    bool near;    /* y_step is B, all lanes are the group's, and not past the caches */
    bool stream;  /* y is not read again soon: past the caches, y aligned to a vector */
    bool plain_y; /* narrow tile: y_plane goes from an output to the next; no residual */
} us_conv_tile;
typedef void us_conv_tile_fn(const us_conv_tile *t);

/* One output row of one block, depthwise. */
typedef struct us_conv_dw {
    const float *x; /* first input row that a tap meets, column 0 */
    size_t width;   /* of the input */
    size_t row;     /* floats from a row of taps to the next */
    const float *w; /* weights of that first row: [n_kh][kw][B] */
    size_t n_kh, kw, sw, dw;
    ptrdiff_t left;
    float *y;
    size_t ow;
    const float *bias, *res;
    float lo, hi;
} us_conv_dw;
typedef void us_conv_dw_fn(const us_conv_dw *t);

/* One output row of one block whose lanes read lanes of their own: groups narrower than a block. In a step every lane meets one
 * channel of one input block under all taps. A step is B 32-bit words (bits of floats), then weights [all taps][B]. Word l says
 * where lane l reads: input block * B + lane, the block the same in all of a step; US_CONV_NO_LANE added: nowhere, a zero. */
enum { US_CONV_NO_LANE = INT32_MIN };
typedef struct us_conv_lanes {
    us_conv_dw row;     /* w: of the first step */
    size_t plane;       /* floats from an input block to the next */
    const float *words; /* of the first step */
    size_t n_steps, step;
} us_conv_lanes;
typedef void us_conv_lanes_fn(const us_conv_lanes *t);

/* Taps of an output position along one dimension: the first input position inside, how many are, and by how much they count. */
typedef struct us_conv_span {
    size_t x, n;
    float count;
} us_conv_span;

/* One output row of one block, pooled: the largest (NaN if one is, 0 of none), or the sum by count * spans[].count. */
typedef struct us_conv_pool {
    const float *x;   /* first input row that the window meets, column 0 */
    size_t row, step; /* floats from a tap to the next below, to the right */
    size_t n_kh;
    float count;
    const us_conv_span *spans; /* ow of them */
    size_t ow;
    float *y;
} us_conv_pool;
typedef void us_conv_pool_fn(const us_conv_pool *t);

/* One output row of one block, made from two input rows: y[o] = w0 * (wa * x0[a] + wb * x0[b]) + w1 * (the same of x1) with
 * taps[o]; copied from x0[a] where x1 is NULL. */
typedef struct us_conv_tap {
    size_t a, b;
    float wa, wb;
} us_conv_tap;
typedef struct us_conv_mix {
    const float *x0, *x1;
    float w0, w1;
    const us_conv_tap *taps;
    size_t ow;
    float *y;
} us_conv_mix;
typedef void us_conv_mix_fn(const us_conv_mix *t);

/* A block of `lanes` real channels to blocked and back, `pixels` of them; the channels of the plain side are `pixels` floats apart. */
typedef void us_conv_reorder_fn(size_t lanes, size_t pixels, const float *x, float *y);

/* Every `stride`-th vector of x: y[i * B + l] = x[i * stride + l], n of them. */
typedef void us_conv_pick_fn(size_t n, size_t stride, const float *x, float *y);
/* even[i] = x[2 * i], odd[i] = x[2 * i + 1], n of each. */
typedef void us_conv_apart_fn(size_t n, const float *x, float *even, float *odd);

enum { US_CONV_NARROW_P = 4, US_CONV_NARROW_M = 4 };

typedef struct us_conv_kernels {
    const char *name;                 /* of the instruction set */
    size_t block;                     /* B */
    uint8_t max_p[US_CONV_MAX_Q + 1]; /* widest tile of q blocks; 0: there is none */
    /* tile of q blocks and p pixels that are `block` floats apart, or one float (plain input) */
    us_conv_tile_fn *(*tile)(size_t q, size_t p, bool plain);
    /* tile of p pixels (at most max_p[1]) of one block of which half the lanes are not the group's (y_first in the upper half, or y_last
     * in the lower), at half the price where vectors of that size have one; weights as for q = 1. y_first 0 and y_last B: the lower half,
     * and the others become 0. NULL: none */
    us_conv_tile_fn *(*half)(size_t p, bool plain);
    /* At most US_CONV_NARROW_P pixels of q <= US_CONV_NARROW_M outputs (not blocks), of one block of outputs: lanes of the input are
     * summed side by side and added up at the end. Weights [input block][all taps][q][B]; the other lanes of y become 0. NULL: none */
    us_conv_tile_fn *narrow;
    us_conv_dw_fn *(*dw)(size_t kw, size_t sw, size_t dw);
    /* 3x3 without stride or dilation, all taps' rows in the image: this row and the next; or NULL */
    us_conv_dw_fn *dw_two_rows;
    us_conv_lanes_fn *(*lanes)(size_t kw, size_t sw, size_t dw); /* NULL: none */
    us_conv_pool_fn *pool_max, *pool_mean;
    us_conv_mix_fn *mix; /* Resize */
    us_conv_reorder_fn *block_in, *block_out;
    us_conv_pick_fn *pick;
    us_conv_apart_fn *apart;
    void (*fence)(
        void); /* after tiles that stream, before somebody else reads; NULL: tiles do not */
} us_conv_kernels;

/* --- the three steps ------------------------------------------------------------------------------------------- */

typedef struct us_conv_algo us_conv_algo; /* of the candidates in conv.c */

typedef struct us_conv_choice {
    const us_conv_algo *algo; /* NULL: no kernel here takes this convolution */
    size_t q;                 /* output blocks of a tile */
    size_t floats;            /* of the packed weights and bias */
    size_t item_bytes;        /* weights of an item of work */
    const char *name;         /* of the row, lasting */
} us_conv_choice;
void us_conv_choose(const us_conv_kernels *f, const us_conv_dims *s, us_conv_choice *out);
/* All rows that take s, in the table's order; *best: the cheapest by the model, which us_conv_choose takes. grid: only rows whose
 * outputs may lie apart. */
enum { US_CONV_WAYS = 16 };
size_t us_conv_candidates(const us_conv_kernels *f, const us_conv_dims *s, bool grid,
                          us_conv_choice out[US_CONV_WAYS], size_t *best);
bool us_conv_plain_out(const us_conv_choice *choice); /* it can write [n, m, h, w] */
/* w is [m][c / groups][kh][kw], bias [m] or NULL; to: choice->floats, aligned to 64 bytes. */
void us_conv_pack(const us_conv_kernels *f, const us_conv_dims *s, const us_conv_choice *choice,
                  const float *w, const float *bias, float *to);

/* Where the output lies: in rows first_row, first_row + row_step ... and columns likewise of an image of h x w. */
typedef struct us_conv_grid {
    size_t h, w, first_row, first_col, row_step, col_step;
    bool plain; /* y is [n, m, h, w] */
} us_conv_grid;

typedef struct us_conv {
    const us_conv_kernels *f;
    us_conv_choice choice;
    us_conv_dims s;
    size_t y_first, y_step, y_row, y_plane,
        y_image; /* of the output, in floats: where it begins, steps */
    bool plain_y;
    bool stream; /* the output is larger than caches are */
    const char *name;
    size_t scratch; /* bytes that a run needs, 64-byte aligned */
    double work;    /* multiplications and additions */
    /* what an algorithm keeps */
    bool narrow;   /* a few outputs only: the narrow tile */
    bool shares;   /* groups share output blocks */
    size_t widest; /* output blocks that a group's weights have room for */
    bool packs;    /* rows of the input are copied, padded, into the scratch */
    ptrdiff_t *taps;
    size_t in_blocks, out_blocks;
    size_t lanes, step;        /* of an input block; floats from a pixel to the next */
    size_t pitch, part, plane; /* of packed rows, of a stride's phase, of a band or the input */
    size_t band, band_rows;    /* output rows made from one packing, input rows that takes */
    size_t q_groups, supers,
        super; /* tiles' groups of output blocks per group; items over them; groups in an item */
    size_t chunk;                 /* input blocks summed in one go */
    size_t rows, cols, col_items; /* of the output in one item */
} us_conv;
/* taps: room for s->kh * s->kw numbers that live as long as cv. False: too large a scratch (US_CONV_SCRATCH); use another way. */
#define US_CONV_SCRATCH ((size_t)256 << 20)
bool us_conv_open(const us_conv_kernels *f, const us_conv_dims *s, const us_conv_choice *choice,
                  ptrdiff_t *taps, us_conv *cv);

/* The same with an output that lies apart; only for a candidate of `grid`. */
bool us_conv_open_grid(const us_conv_kernels *f, const us_conv_dims *s,
                       const us_conv_choice *choice, const us_conv_grid *grid, ptrdiff_t *taps,
                       us_conv *cv);

/* Called on each finished run of outputs while it is in the first-level cache: n floats from y, which stand at y - args.y, all of one
 * block, whole pixels (of a plain output: of one channel). `block` counts blocks (channels) of all images. */
typedef void us_conv_tail_fn(const void *arg, size_t block, size_t at, float *y, size_t n);

typedef struct us_conv_args {
    const float *x;
    const float *packed;
    const float *res; /* of y's layout, or NULL */
    float *y;
    float lo, hi; /* -inf, inf: none */
    void *scratch;
    us_conv_tail_fn *tail; /* NULL: none. Not with outputs that lie apart */
    const void *tail_arg;
} us_conv_args;
void us_conv_run(const us_conv *cv, const us_conv_args *a, struct us_pool *pool);

/* --- transposed -----------------------------------------------------------------------------------------------

 * With strides of sh and sw the outputs fall into sh * sw phases: row oy takes taps (oy + top) % sh, + sh, + 2 sh ... only. Each phase is a
 * convolution without stride by its own taps, turned round, whose outputs lie sh and sw apart. Nothing is
 * multiplied by zero and nothing added twice. In s: kernel, strides and padding as ConvTranspose has them, dilation 1. */
enum { US_CONV_MAX_PHASES = 64 };
typedef struct us_deconv_choice {
    size_t n; /* phases; 0: no kernel here takes it */
    us_conv_choice phase[US_CONV_MAX_PHASES];
    size_t floats;      /* of the packed weights and biases */
    size_t work_floats; /* that packing may write */
} us_deconv_choice;
void us_deconv_choose(const us_conv_kernels *f, const us_conv_dims *s, us_deconv_choice *out);
/* Every phase by the row `way` that us_conv_candidates gives for the first; false: another phase does not take it. */
bool us_deconv_choose_way(const us_conv_kernels *f, const us_conv_dims *s, size_t way,
                          us_deconv_choice *out);
/* Names of the rows for the first phase; 0: no kernel here takes it. */
size_t us_deconv_ways(const us_conv_kernels *f, const us_conv_dims *s,
                      const char *names[US_CONV_WAYS]);
bool us_deconv_plain_out(const us_deconv_choice *choice);
/* w is [c][m / groups][kh][kw]. */
void us_deconv_pack(const us_conv_kernels *f, const us_conv_dims *s,
                    const us_deconv_choice *choice, const float *w, const float *bias,
                    float *work, float *to);

typedef struct us_deconv {
    size_t n;
    us_conv *phase;
    size_t scratch;
    double work;
} us_deconv;
/* phase: room for choice->n; taps: for s->kh * s->kw + choice->n numbers; both live as long as dv. */
bool us_deconv_open(const us_conv_kernels *f, const us_conv_dims *s,
                    const us_deconv_choice *choice, bool plain_y, us_conv *phase,
                    ptrdiff_t *taps, us_deconv *dv);
void us_deconv_run(const us_deconv *dv, const us_conv_args *a, struct us_pool *pool);

/* --- layouts -------------------------------------------------------------------------------------------------- */

/* x [c, pixels] to y [ceil(c/B), pixels, B], lanes past c zero, and back. */
void us_conv_block(size_t block, size_t c, size_t pixels, const float *x, float *y);
void us_conv_unblock(size_t block, size_t c, size_t pixels, const float *x, float *y);

#endif
