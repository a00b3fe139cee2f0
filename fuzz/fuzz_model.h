/* fuzz_model.h - what the targets that run models share: inputs of every kind, and changes that keep a model a model. */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "exec/session.h"
#include "ir/op.h"

/* Metadata of a fuzzed model whose bytes say what its inputs hold. */
#define FUZZ_PROP "fuzz"

/* A value of this type, extreme on purpose: empty and large dimensions, NaN, the ends of ranges, odd strings. The same
 * bytes and number give the same value. syms: size per symbol, -1 where not chosen yet; n_syms of them. */
us_err fuzz_input(us_ctx *c, us_arena *a, us_sv bytes, size_t i, const us_type *t,
                  int64_t *syms, size_t n_syms, us_value *out) US_MUST;

/* A model with what it takes to run it under tight caps. */
#define FUZZ_MAX_ENDS 32 /* inputs and outputs */
typedef struct fuzz_runner {
    us_plan *p;
    us_session *s;
    us_arena *a; /* of the inputs */
} fuzz_runner;

/* Takes the model over, whatever comes of it. r is zeroed before, and closed by the caller in any case. */
us_err fuzz_open(us_ctx *c, us_model *m, const us_plan_opts *opts, fuzz_runner *r) US_MUST;
/* The same of a plan. */
us_err fuzz_open_plan(us_ctx *c, us_plan *p, bool plain, fuzz_runner *r) US_MUST;
us_err fuzz_run(us_ctx *c, fuzz_runner *r,
                us_value *out) US_MUST; /* inputs by the model's property */
void fuzz_close(fuzz_runner *r);
/* Any refusal is fine but US_BUG: an input must not break an invariant of ours. */
void fuzz_check(const us_ctx *c, us_err e);

/* One to four changes of a parsed model, by `seed`: attributes, types, constants, operators, edges, opsets, nodes put into
 * If and Loop. The result may break any rule of ONNX. */
us_err fuzz_mutate(us_ctx *c, us_model *m, uint64_t seed) US_MUST;

/* LLVMFuzzerCustomMutator for a target whose input is an ONNX file; in one case of eight, and where the bytes are no
 * model, plain byte mutation. */
size_t fuzz_mutate_onnx(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
