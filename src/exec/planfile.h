/* exec/planfile.h - a compiled plan in a file: the graph after passes and the weights as kernels want them.
 *
 *   0        header: magic, format, who wrote it, for which instruction set, where everything lies, sums
 *   4096     data: what prepare packed (us_eval_packed), then the other weights; each piece 64-byte aligned
 *   ...      graph: an ONNX message with operators of domain "usta"; weights of 1 KB or more are named by their place in the file
 *   ...      index: per packed piece its step, place and size
 *   ...      candidates: of a tuned plan (exec/tune.h), per step that had any their names, what they took, and which one runs
 *
 * The file is mapped and used where it lies: loading reads header, graph and index, makes the steps, and touches no weights. So a
 * constant whose packed form is there costs room on disk, none in memory: it is there for what runs as it comes.
 *
 * Header, graph and index are always checked against their sum. The data are when they are small (US_PLANFILE_SUM_MAX: a
 * millisecond); summing a hundred megabytes would cost more than all other loading, so for larger ones us_planfile_verify does it
 * when asked. A file of another format, program version, instruction set or block width, or of a build whose kernels, operators or passes
 * are not the same to the byte (packing_sum.sh), is refused with the words to compile it again: nothing is guessed or migrated. Bytes from outside are looked at as any model's are: what a graph says is verified, every
 * place lies inside the file, a packed piece of a size that its step does not expect is packed anew, and a choice that is none of its
 * step's is refused. So the same file gives the same bytes of results at every load.
 */
#ifndef USTA_EXEC_PLANFILE_H
#define USTA_EXEC_PLANFILE_H

#include "exec/session.h"

#define US_PLANFILE_FORMAT      2                    /* layout of the file itself */
#define US_PLANFILE_MAX         ((uint64_t)64 << 30) /* bytes of a file */
#define US_PLANFILE_GRAPH_MAX   ((uint64_t)1 << 30)  /* of its graph */
#define US_PLANFILE_INDEX_MAX   ((uint64_t)1 << 22)  /* packed pieces */
#define US_PLANFILE_CHOICES_MAX ((uint64_t)1 << 22)  /* candidates */
#define US_PLANFILE_SUM_MAX     ((uint64_t)16 << 20) /* data that are summed at every load */

typedef struct us_planfile_info {
    uint64_t file_bytes, graph_bytes, data_bytes, packed_bytes;
    size_t n_packed;
} us_planfile_info;

/* Atomic. US_UNSUPP: a plan with variables, or with constants that are no tensors. */
us_err us_planfile_write(us_ctx *c, const us_plan *p, const char *path,
                         us_planfile_info *info) US_MUST;

bool us_planfile_is(const void *p, size_t n); /* by its first bytes */
/* Whether the file at path is one; US_OK and false for a file that is something else. */
us_err us_planfile_find(us_ctx *c, const char *path, bool *is) US_MUST;
us_err us_planfile_read(us_ctx *c, const char *path, us_plan **out) US_MUST;
/* From memory that stays and does not change while the plan lives, 64-byte aligned (US_ARG: not). unsummed: sums are not looked
 * at, for tests that damage what is behind them. */
us_err us_planfile_parse(us_ctx *c, const char *name, const void *p, size_t n, bool unsummed,
                         us_plan **out) US_MUST;
/* Every sum. US_FORMAT: the file is damaged. */
us_err us_planfile_verify(us_ctx *c, const char *path, us_planfile_info *info) US_MUST;

/* A plan of the model file, compiled or not; opts NULL: defaults (a compiled plan has its own: US_ARG for others). */
us_err us_plan_open(us_ctx *c, const char *path, const us_plan_opts *opts,
                    us_plan **out) US_MUST;

#endif
