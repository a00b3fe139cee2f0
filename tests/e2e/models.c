/* models - real classifiers on real pictures: accuracy, and (with --dump) what another engine needs to check the answers.
 *
 *     models CORPUS [--dump DIR]
 *
 * Every picture is decoded and prepared by src/image, as the corpus says the model wants it, and run alone. A row of the table: model, pictures,
 * correct, the accuracy found and the one known. --dump writes, for the models whose answers are compared one by one, the very tensors that were
 * run (DIR/<n>.npy), our scores (DIR/<n>.scores.npy) and answers (DIR/ours.txt: `<n> <class> <name of the picture>`). Exit status 1: an accuracy is
 * more than 0.1 points from the known one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "data/csv.h"
#include "exec/session.h"
#include "image/prep.h"
#include "onnx/onnx.h"
#include "tensor/npy.h"

enum { MAX_FILE = 1 << 30 };

typedef struct row row;
typedef struct run {
    us_ctx *c;
    us_arena *a;
    const row *row;
    us_session *session;
    us_tensor x;
    const char *dump;
    FILE *ours;
    int64_t n, correct;
} run;

struct row {
    const char *model;
    const char *data;
    us_err (*each)(run *r, const char *path); /* calls answer() for every picture */
    double known; /* per cent; 0: only compared with the other engine */
    us_image_prep prep;
    us_pixels pixels;
    bool dump;
};

/* --- one picture -------------------------------------------------------------------------------------------- */

static int64_t top1(const us_tensor *y)
{
    int64_t best = 0, n = us_tensor_count(y);
    for (int64_t i = 1; i < n; i++)
        if (us_tensor_f64_at(y, i) > us_tensor_f64_at(y, best)) best = i;
    return best;
}

static us_err answer(run *r, const us_image *im, int64_t label, const char *name)
{
    us_image fit;
    us_value in = us_value_of(&r->x), out[8];
    us_mark mark = us_arena_mark(r->a);
    us_err e = us_image_fit(r->c, r->a, im, &r->row->prep, &fit);
    if (e == US_OK && fit.h * fit.w * us_pixels_channels(fit.pixels) != us_tensor_count(&r->x))
        e = us_fail(r->c, US_SHAPE, "the picture is %lld x %lld, other than the model's input",
                    (long long)fit.h, (long long)fit.w);
    if (e == US_OK) e = us_image_fill(r->c, &fit, &r->row->prep, r->x.dtype, r->x.data);
    if (e == US_OK) e = us_session_run(r->c, r->session, &in, out);
    us_arena_reset(r->a, mark);
    if (e != US_OK) return us_wrap(r->c, e, "%s", name);
    int64_t got = top1(&out[0].t);
    if (r->ours) {
        char path[2048];
        (void)snprintf(path, sizeof path, "%s/%lld.npy", r->dump, (long long)r->n);
        US_TRY(us_npy_write(r->c, path, &r->x));
        (void)snprintf(path, sizeof path, "%s/%lld.scores.npy", r->dump, (long long)r->n);
        US_TRY(us_npy_write(r->c, path, &out[0].t));
        fprintf(r->ours, "%lld %lld %s\n", (long long)r->n, (long long)got, name);
    }
    r->n++;
    r->correct += got == label;
    return US_OK;
}

/* --- where pictures come from ------------------------------------------------------------------------------------- */

/* A folder of NNNN_*.JPEG: NNNN is the class. */
static us_err each_photo(run *r, const char *path)
{
    char **names;
    size_t n;
    US_TRY(us_dir_list(r->c, r->a, path, &names, &n));
    for (size_t i = 0; i < n; i++) {
        us_image im;
        if (!us_image_name(us_sv_of(names[i]))) continue;
        us_mark mark = us_arena_mark(r->a);
        char *file = us_path_join(r->a, path, names[i]);
        if (!file) return us_arena_fail(r->c, r->a);
        US_TRY(us_image_read(r->c, r->a, file, r->row->pixels, &im));
        US_TRY(answer(r, &im, strtol(names[i], NULL, 10), names[i]));
        us_arena_reset(r->a, mark);
    }
    return US_OK;
}

static us_err read_gz(run *r, const char *path, us_buf *out)
{
    us_buf b;
    us_buf_init(&b, r->c, MAX_FILE);
    us_buf_init(out, r->c, MAX_FILE);
    us_err e = us_file_read(r->c, path, &b);
    if (e == US_OK) e = us_gunzip(r->c, path, b.p, b.n, MAX_FILE, out);
    us_buf_deinit(&b);
    return e;
}

/* MNIST's idx files; path is the folder. */
static us_err each_digit(run *r, const char *path)
{
    us_buf images, labels;
    char file[2048];
    (void)snprintf(file, sizeof file, "%s/t10k-images-idx3-ubyte.gz", path);
    US_TRY(read_gz(r, file, &images));
    (void)snprintf(file, sizeof file, "%s/t10k-labels-idx1-ubyte.gz", path);
    us_err e = read_gz(r, file, &labels);
    if (e == US_OK && (images.n != 16 + 7840000 || labels.n != 8 + 10000))
        e = us_fail(r->c, US_FORMAT, "%s: not 10,000 digits", path);
    for (size_t i = 0; e == US_OK && i < 10000; i++) {
        us_image im = {28, 28, US_PIXELS_GRAY, (uint8_t *)images.p + 16 + 784 * i, "idx"};
        e = answer(r, &im, (uint8_t)labels.p[8 + i], "a digit");
    }
    us_buf_deinit(&images);
    us_buf_deinit(&labels);
    return e;
}

/* CIFAR-10 as test/<class>/<number>.jpg in a .tar.gz; classes are numbered by name. */
static us_err each_small_photo(run *r, const char *path)
{
    static const char *const classes[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};
    us_buf tar;
    US_TRY(read_gz(r, path, &tar));
    us_err e = US_OK;
    for (size_t at = 0; e == US_OK && at + 512 <= tar.n && tar.p[at];) {
        const char *head = tar.p + at; /* ustar: name at 0, size in octal at 124 */
        size_t size = strtoul(head + 124, NULL, 8), label = 0;
        us_sv name = {head, strnlen(head, 100)};
        at += 512;
        if (size > tar.n - at) e = us_fail(r->c, US_FORMAT, "%s: ends early", path);
        if (e == US_OK && us_image_name(name)) {
            us_image im;
            us_mark mark = us_arena_mark(r->a);
            while (label < US_LEN(classes) && !strstr(head, classes[label]))
                label++;
            e = us_image_decode(r->c, r->a, "a picture", (us_sv){tar.p + at, size},
                                r->row->pixels, NULL, &im);
            if (e == US_OK) e = answer(r, &im, (int64_t)label, "a picture");
            us_arena_reset(r->a, mark);
        }
        at += (size + 511) / 512 * 512;
    }
    us_buf_deinit(&tar);
    return e;
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static const row rows[] = {
    {.model = "mobilenetv2_imagenet1000_int8_qdq",
     .data = "imagenet-sample",
     .each = each_photo,
     .prep = {.shorter = 280,
              .h = 244,
              .w = 244,
              .channels_first = true,
              .scale = 1.0 / 255,
              .mean = {0.485, 0.456, 0.406},
              .std = {0.229, 0.224, 0.225}},
     .dump = true},
    {.model = "cnn_mnist_pytorch",
     .data = "mnist",
     .each = each_digit,
     .known = 99.07,
     .pixels = US_PIXELS_GRAY,
     .prep = {.scale = 1.0 / 255, .mean = {0.1307}, .std = {0.3081, 1, 1}}},
    {.model = "mnist8_cntk",
     .data = "mnist",
     .each = each_digit,
     .known = 98.91,
     .pixels = US_PIXELS_GRAY,
     .prep = {.scale = 1, .std = {1, 1, 1}}},
    {.model = "mlperftiny_resnet8_cifar10",
     .data = "cifar10-test-jpg.tar.gz",
     .each = each_small_photo,
     .known = 75.5,
     .prep = {.channels_first = true, .scale = 1, .std = {1, 1, 1}}},
};

static us_err make_input(run *r, const us_plan *p)
{
    const us_type *t = us_plan_input_type(p, 0);
    int64_t dims[US_MAX_RANK];
    for (int32_t d = 0; d < t->rank; d++)
        dims[d] = us_dim_known(t->dims[d]) ? t->dims[d].add : 1;
    return us_tensor_new(r->c, r->a, t->dtype, t->rank, dims, &r->x);
}

static us_err run_row(run *r, const char *corpus, us_plan **plan)
{
    char path[2048];
    us_model *m;
    (void)snprintf(path, sizeof path, "%s/models/vision-classify/%s.onnx", corpus,
                   r->row->model);
    US_TRY(us_onnx_read(r->c, path, NULL, &m));
    us_err e = us_plan_new(r->c, m, NULL, plan);
    if (e != US_OK) {
        us_model_free(m);
        return e;
    }
    US_TRY(us_session_new(r->c, *plan, NULL, &r->session));
    US_TRY(make_input(r, *plan));
    (void)snprintf(path, sizeof path, "%s/data/images/%s", corpus, r->row->data);
    return r->row->each(r, path);
}

static bool one_row(us_ctx *c, const row *w, const char *corpus, const char *dump)
{
    run r = {.c = c, .row = w, .dump = dump};
    us_plan *plan = NULL;
    char path[2048];
    if (dump && w->dump) {
        (void)snprintf(path, sizeof path, "%s/ours.txt", dump);
        r.ours = fopen(path, "w");
        if (!r.ours) {
            printf("%s cannot be written\n", path);
            return false;
        }
    }
    uint64_t t0 = us_now_ns();
    us_err e = us_arena_new(c, "pictures", (size_t)2 << 30, &r.a);
    if (e == US_OK) e = run_row(&r, corpus, &plan);
    double seconds = (double)(us_now_ns() - t0) / 1e9;
    double found = r.n ? 100.0 * (double)r.correct / (double)r.n : 0;
    bool good = e == US_OK && r.n > 0 && (w->known == 0 || fabs(found - w->known) <= 0.1);
    char known[32] = "-";
    if (w->known > 0) (void)snprintf(known, sizeof known, "%.2f", w->known);
    if (e != US_OK)
        printf("%-36s %s\n", w->model, c->diag.text);
    else
        printf("%-36s %8lld %8lld %7.2f %% %7s %% %7.1f s  %s\n", w->model, (long long)r.n,
               (long long)r.correct, found, known, seconds, good ? "ok" : "MISSED");
    fflush(stdout);
    if (r.ours && fclose(r.ours) != 0) good = false;
    us_session_free(r.session);
    us_plan_free(plan);
    us_arena_free(r.a);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 2 && (argc != 4 || strcmp(argv[2], "--dump") != 0)) {
        fprintf(stderr, "usage: %s CORPUS [--dump DIR]\n", argv[0]);
        return 2;
    }
    us_ctx c;
    us_pool *pool = NULL;
    us_ctx_init(&c);
    if (us_pool_new(&c, 0, &pool) != US_OK) return 3;
    c.pool = pool;
    bool good = true;
    printf("%-36s %8s %8s %9s %9s %9s\n", "model", "pictures", "correct", "found", "known",
           "time");
    for (size_t i = 0; i < US_LEN(rows); i++)
        good = one_row(&c, &rows[i], argv[1], argc == 4 ? argv[3] : NULL) && good;
    us_pool_free(pool);
    us_ctx_deinit(&c);
    return good ? 0 : 1;
}
