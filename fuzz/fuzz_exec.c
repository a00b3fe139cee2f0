/* Bytes -> ONNX reader -> plan -> run, twice, under tight caps: no crash, no hang, no memory past the caps, whatever the model
 * asks for. Inputs of every kind are made up, extreme ones too (fuzz_input.c); models are changed as models
 * (fuzz_mutate.c). */
#include "fuzz_model.h"
#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *m = NULL;
    fuzz_runner r = {0};
    us_value out[FUZZ_MAX_ENDS];
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    if (e == US_OK) e = fuzz_open(&c, m, NULL, &r);
    if (e == US_OK) e = fuzz_run(&c, &r, out);
    if (e == US_OK) e = fuzz_run(&c, &r, out);
    fuzz_check(&c, e);
    fuzz_close(&r);
    us_ctx_deinit(&c);
    return 0;
}
