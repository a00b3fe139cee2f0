/* Weights for later (ir/later.h): every place of the channel, ends of runs, numbers that leave the range of floats. */
#include <float.h>
#include <math.h>

#include "ir/later.h"
#include "us_test.h"

enum { MOST = 700 };

static void check_products(size_t outer, size_t n, size_t inner)
{
    float from[MOST], to[MOST];
    double k[MOST];
    size_t count = outer * n * inner;
    CHECK(count <= MOST && n <= MOST);
    for (size_t i = 0; i < count; i++)
        from[i] = (float)i - 40.3F;
    for (size_t i = 0; i < n; i++)
        k[i] = 0.1 * (double)i - 1.7;
    us_later x = {
        .to = to, .from = from, .k = k, .n = n, .inner = inner, .count = count, .done = false};
    CHECK(us_later_fits(&x) && us_later_compute(&x, to));
    for (size_t i = 0; i < count; i++) {
        float want = (float)((double)from[i] * k[i / inner % n]);
        CHECK(to[i] == want);
    }
}

static void test_later__products(void)
{
    static const size_t sizes[] = {1, 2, 3, 7, 15, 16, 17, 33, 64};
    for (size_t i = 0; i < US_LEN(sizes); i++)
        for (size_t j = 0; j < US_LEN(sizes); j++)
            for (size_t outer = 0; outer < 3; outer++)
                if (outer * sizes[i] * sizes[j] <= MOST)
                    check_products(outer, sizes[i], sizes[j]);
}

static bool one(float from, double k, bool *fits)
{
    float all[20], to[20];
    for (size_t i = 0; i < US_LEN(all); i++)
        all[i] = 1;
    for (size_t i = 0; i < US_LEN(all); i++) {
        us_later x = {.to = to, .from = all, .k = &k, .n = 1, .inner = 20, .count = 20};
        all[i] = from;
        bool sure = us_later_fits(&x), fine = us_later_compute(&x, to);
        CHECK(!sure || fine); /* what is sure is so */
        if (i > 0) CHECK(fine == *fits);
        *fits = fine;
        all[i] = 1;
    }
    return *fits;
}

static void test_later__says_what_is_lost(void)
{
    bool fits = false;
    CHECK(one(FLT_MAX, 1, &fits));
    CHECK(one(FLT_MAX, -0.5, &fits));
    CHECK(!one(FLT_MAX, 1.5, &fits));
    CHECK(!one(-FLT_MAX, 2, &fits));
    CHECK(!one(2, DBL_MAX, &fits));
    CHECK(!one(1e20F, 1e19, &fits));
    CHECK(one(1e20F, 1e18, &fits));
    CHECK(one(INFINITY, 2, &fits)); /* was not finite before */
    CHECK(one(NAN, 2, &fits));
}

static void test_later__is_found_until_settled(void)
{
    float from[3] = {1, 2, 3}, to[3] = {0};
    double k[3] = {2, 4, 8};
    us_later x = {.to = to, .from = from, .k = k, .n = 3, .inner = 1, .count = 3};
    us_model m = {.later = {&x, 1, 1}};
    CHECK(!us_later_find(&m, from));
    CHECK(us_later_find(&m, to) == &x);
    us_later_settle(&x);
    CHECK(to[0] == 2 && to[1] == 8 && to[2] == 24);
    CHECK(!us_later_find(&m, to));
    to[0] = 7;
    us_later_settle(&x); /* once */
    us_later_settle(NULL);
    CHECK(to[0] == 7);
}

static const us_test_case cases[] = {
    US_CASE(test_later__products),
    US_CASE(test_later__says_what_is_lost),
    US_CASE(test_later__is_found_until_settled),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
