/* fuzz_image.c - every image decoder on any bytes, with small limits: no crash, no memory past them; what is decoded has the
 * pixels its size says. All three kinds of pixels are asked for. */
#include <string.h>

#include "image/image.h"

#define MAX_PIXELS ((uint64_t)1 << 16)
#define MAX_BYTES  ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a;
    us_image_limits limits = {MAX_BYTES, MAX_PIXELS};
    us_sv bytes = {(const char *)data, size};
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    if (us_arena_new(&c, "fuzz", (size_t)4 << 20, &a) != US_OK) return 0;
    uint8_t sum = 0;
    for (int p = US_PIXELS_RGB; p <= US_PIXELS_GRAY; p++) {
        us_image im;
        if (us_image_decode(&c, a, "input", bytes, (us_pixels)p, &limits, &im) != US_OK) break;
        if ((uint64_t)(im.h * im.w) > MAX_PIXELS) __builtin_trap();
        size_t n = (size_t)(im.h * im.w) * (size_t)us_pixels_channels(im.pixels);
        for (size_t i = 0; i < n; i++)
            sum ^= im.data[i];
    }
    volatile uint8_t keep =
        sum; /* every pixel is read: the sanitizers see one that was never written */
    (void)keep;
    us_arena_free(a);
    us_ctx_deinit(&c);
    return 0;
}
