/* cli/cmd_doctor.c - `usta doctor`: what this build and this machine can do, and whether the workspace is sound.
 *
 * Exit status 1 when a check failed, so that scripts may ask. Each finding is one row: what, value, verdict.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "cli/cli.h"
#include "exec/session.h"
#include "image/image.h"
#include "kernel/kernels.h"
#include "store/store.h"

#ifdef __GLIBC__
#    include <gnu/libc-version.h>
#endif

typedef enum verdict { FACT, GOOD, BAD } verdict;

typedef struct doctor {
    us_cli *cli;
    json_t *tree; /* group -> name -> value */
    us_rtable *page;
    bool sick;
} doctor;

static us_err finding(doctor *d, const char *group, const char *name, verdict v,
                      const char *text)
{
    json_t *g = json_object_get(d->tree, group);
    if (!g) {
        g = json_object();
        if (json_object_set_new(d->tree, group, g)) return us_nomem(d->cli->c);
    }
    if (json_object_set_new(g, name, json_string(text))) return us_nomem(d->cli->c);
    us_rtable_cell(d->page, group);
    us_rtable_cell(d->page, name);
    us_rtable_cell(d->page, text);
    us_rtable_cell(d->page, v == FACT ? "" : v == GOOD ? "ok" : "FAILED");
    us_rtable_tone(d->page, v == BAD ? US_BAD : v == GOOD ? US_GOOD : US_PLAIN);
    d->sick = d->sick || v == BAD;
    return US_OK;
}

static us_err build(doctor *d)
{
    US_TRY(finding(d, "build", "usta", FACT, US_VERSION));
#if defined(__clang__)
    US_TRY(finding(d, "build", "compiler", FACT, "clang " __clang_version__));
#else
    US_TRY(finding(d, "build", "compiler", FACT, "gcc " __VERSION__));
#endif
#ifdef __OPTIMIZE__
    US_TRY(finding(d, "build", "optimised", FACT, "yes"));
#else
    US_TRY(finding(d, "build", "optimised", FACT, "no: figures of speed mean nothing"));
#endif
#ifdef NDEBUG
    US_TRY(finding(d, "build", "assertions", FACT, "off"));
#else
    US_TRY(finding(d, "build", "assertions", FACT, "on"));
#endif
    char n[32];
    return finding(d, "build", "operators", FACT,
                   us_print_count((int64_t)us_plan_n_operators(), n));
}

static us_err libraries(doctor *d)
{
    US_TRY(finding(d, "libraries", "jansson", FACT, jansson_version_str()));
#ifdef __GLIBC__
    US_TRY(finding(d, "libraries", "libc", FACT, gnu_get_libc_version()));
#endif
    const char *format, *library;
    for (size_t i = 0; us_image_formats(i, &format, &library); i++)
        US_TRY(finding(d, "images", format, FACT, library ? library : "not in this build"));
    return US_OK;
}

static us_err machine(doctor *d)
{
    us_ctx *c = d->cli->c;
    char text[32];
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    us_buf b;
    us_buf_init(&b, c, 256);
    us_buf_addf(&b, "%d", us_cpu_count());
    us_err e = us_buf_check(&b);
    if (e == US_OK) e = finding(d, "machine", "processors", FACT, b.p);
    us_buf_deinit(&b);
    US_TRY(e);
    if (pages > 0 && page > 0)
        US_TRY(finding(d, "machine", "memory", FACT,
                       us_print_bytes((uint64_t)pages * (uint64_t)page, text)));
    US_TRY(finding(d, "machine", "cpu level", FACT, us_cpu_level(us_cpu_detect())));
    const us_kernels *k = us_kernels_get(c);
    US_TRY(finding(d, "machine", "level in force", FACT, us_cpu_level(k->cpu)));
    return finding(d, "machine", "f32 matrix product", FACT, k->f32_gemm_name);
}

/* A product whose result is known to the bit in any order of summation. */
static us_err kernel_check(doctor *d)
{
    enum { N = 33 };
    const us_kernels *k = us_kernels_get(d->cli->c);
    float a[N * N], b[N * N], y[N * N];
    for (int i = 0; i < N * N; i++) {
        a[i] = (float)(i % 7 - 3);
        b[i] = (float)(i % 5 - 2);
    }
    us_block scratch = {0};
    size_t bytes = k->f32_gemm_scratch ? k->f32_gemm_scratch(N, N, N) : 0;
    if (bytes) US_TRY(us_block_get(d->cli->c, &scratch, bytes, 64, false));
    us_gemm_args g = {.m = N,
                      .n = N,
                      .k = N,
                      .alpha = 1,
                      .a = a,
                      .lda = N,
                      .b = b,
                      .ldb = N,
                      .c = y,
                      .ldc = N,
                      .scratch = scratch.p};
    k->f32_gemm(&g);
    bool same = true;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int sum = 0;
            for (int p = 0; p < N; p++)
                sum += ((i * N + p) % 7 - 3) * ((p * N + j) % 5 - 2);
            same = same && y[i * N + j] == (float)sum;
        }
    us_block_put(&d->cli->c->alloc, &scratch);
    return finding(d, "checks", "matrix product", same ? GOOD : BAD,
                   same ? "exact on integers" : "wrong result");
}

static us_err workspace(doctor *d)
{
    us_cli *cli = d->cli;
    if (!cli->conf || !cli->conf->path)
        return finding(d, "workspace", "project", FACT, "none here");
    US_TRY(finding(d, "workspace", "project", FACT, cli->conf->path));
    us_store *s;
    us_err e = us_store_open(cli->c, cli->conf->dir, false, &s);
    if (e == US_NOTFOUND) return finding(d, "workspace", "store", FACT, "not made yet");
    if (e != US_OK) return finding(d, "workspace", "store", BAD, cli->c->diag.text);
    us_store_report r;
    char text[32];
    us_buf b;
    us_buf_init(&b, cli->c, 512);
    e = us_store_check(s, cli->c, cli->arena, &r);
    us_store_close(s);
    if (e != US_OK) {
        us_buf_deinit(&b);
        return finding(d, "workspace", "store", BAD, cli->c->diag.text);
    }
    us_buf_addf(&b, "%zu objects, %s", r.n_objects, us_print_bytes(r.n_bytes, text));
    if (r.first) us_buf_addf(&b, "; %zu bad, %zu missing: %s", r.n_bad, r.n_missing, r.first);
    bool sound = r.db_ok && r.n_bad == 0 && r.n_missing == 0;
    e = us_buf_check(&b);
    if (e == US_OK) e = finding(d, "workspace", "store", sound ? GOOD : BAD, b.p);
    us_buf_deinit(&b);
    return e;
}

static us_err run(us_cli *cli, void *args)
{
    (void)args;
    doctor d = {.cli = cli, .tree = json_object()};
    US_TRY(us_json_keep(cli->c, cli->arena, d.tree));
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "about|what|value|verdict", &d.page));
    US_TRY(build(&d));
    US_TRY(libraries(&d));
    US_TRY(machine(&d));
    US_TRY(kernel_check(&d));
    US_TRY(workspace(&d));
    US_TRY(cli->json ? us_out_json(cli, d.tree) : us_out_table(cli, d.page));
    return d.sick ? us_fail(cli->c, US_NO, "a check failed") : US_OK;
}

const us_cmd us_cmd_doctor = {"doctor",       "", "what this machine and this build can do",
                              US_MAY_PROJECT, 0,  0,
                              NULL,           0,  run};
