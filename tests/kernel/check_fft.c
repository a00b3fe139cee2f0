/* check_fft - Fourier transforms of every level against the sum they stand for, in double; every lane by itself; guards around. */
#include "levels.h"

#include "kernel/fft.h"

enum { GUARD = 16 };
#define GUARD_VALUE 4321.0F
#define PI          3.14159265358979323846

/* The largest error of a lane, over the root of the sum of squares. */
static double error_of(size_t n, size_t lanes, size_t l, const float *in, const float *x)
{
    double worst = 0, size = 0;
    for (size_t j = 0; j < n; j++)
        size += (double)in[j] * (double)in[j];
    for (size_t k = 0; k <= n / 2; k++) {
        double re = 0, im = 0;
        for (size_t j = 0; j < n; j++) {
            double angle = 2 * PI * (double)(j * k % n) / (double)n;
            re += (double)in[j] * cos(angle);
            im -= (double)in[j] * sin(angle);
        }
        const float *at = x + 2 * lanes * k + l;
        worst = fmax(worst, hypot((double)at[0] - re, (double)at[lanes] - im));
    }
    return worst / sqrt(size + 1e-300);
}

static void check_length(const level *of, us_rng *r, size_t n)
{
    const us_fft_kernels *f = of->k.fft;
    size_t lanes = f->lanes, count = (n / 2 + 1) * 2 * lanes;
    float *roots = malloc(2 * n * sizeof *roots), *in = malloc(n * lanes * sizeof *in);
    float *all = aligned_alloc(64, (count + 2 * GUARD + 15) / 16 * 64), *x = all + GUARD;
    uint32_t *order = malloc(n / 2 * sizeof *order);
    us_fft_tables(n, roots, order);
    for (size_t i = 0; i < count + 2 * GUARD; i++)
        all[i] = GUARD_VALUE;
    for (size_t l = 0; l < lanes; l++) /* loud and quiet side by side; one is silent */
        for (size_t j = 0; j < n; j++) {
            float v = l == 1 ? 0 : (us_rng_f32(r) - 0.5F) * (l % 2 ? 1e-6F : 1e3F);
            in[l * n + j] = v;
            x[2 * lanes * order[j / 2] + (j % 2) * lanes + l] = v;
        }
    f->real(n, roots, x);
    for (size_t l = 0; l < lanes; l++) {
        double e = error_of(n, lanes, l, in + l * n, x);
        if (!(e <= 1e-6)) US_TEST_FAIL("%s n=%zu lane %zu: error %g", f->name, n, l, e);
    }
    for (size_t i = 0; i < GUARD; i++)
        CHECK(all[i] == GUARD_VALUE && x[count + i] == GUARD_VALUE);
    free(roots);
    free(in);
    free(all);
    free(order);
}

static void check_level(const level *l)
{
    us_rng r = us_rng_new(8, "fft", 0);
    for (size_t n = US_FFT_LEAST; n <= 512; n *= 2)
        check_length(l, &r, n);
}
static void test_fft__is_the_sum(void)
{
    each_level(check_level);
}

static const us_test_case cases[] = {US_CASE(test_fft__is_the_sum)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
