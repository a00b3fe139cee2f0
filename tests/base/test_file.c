/* test_file.c - whole files, atomic replacement, the guard of mapped files, folders, appending. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/file.h"
#include "us_torture.h"

#define BIG (US_FILE_READ_MAX + 3 * 65536 + 17) /* large enough to be mapped; no whole page */

static us_ctx ctx(void)
{
    us_ctx c;
    us_ctx_init(&c);
    return c;
}

static void check_contents(us_ctx *c, const char *path, const char *want)
{
    us_buf b;
    us_buf_init(&b, c, 1 << 20);
    CHECK_OK(c, us_file_read(c, path, &b));
    us_buf_addc(&b, 0);
    CHECK_EQ_STR(b.p, want);
    us_buf_deinit(&b);
}

static size_t count_names(us_ctx *c, const char *dir)
{
    us_arena *a;
    char **names;
    size_t n;
    CHECK_OK(c, us_arena_new(c, "t", 1 << 20, &a));
    CHECK_OK(c, us_dir_list(c, a, dir, &names, &n));
    us_arena_free(a);
    return n;
}

static void test_replace__old_or_new(void)
{
    us_ctx c = ctx();
    char dir[1024], path[1100];
    us_test_tmp(dir, sizeof dir, "replace");
    CHECK_OK(&c, us_mkdirs(&c, dir));
    us_test_path(path, sizeof path, dir, "f");
    CHECK_OK(&c, us_file_replace(&c, path, "one", 3));
    check_contents(&c, path, "one");
    us_writer *w;
    CHECK_OK(&c, us_writer_open(&c, path, &w));
    CHECK_OK(&c, us_writer_write(w, "....tail", 8));
    check_contents(&c, path, "one"); /* until the commit */
    CHECK_OK(&c, us_writer_seek(w, 0));
    CHECK_OK(&c, us_writer_write(w, "head", 4));
    CHECK_OK(&c, us_writer_commit(w));
    check_contents(&c, path, "headtail");
    CHECK_OK(&c, us_writer_open(&c, path, &w));
    CHECK_OK(&c, us_writer_write(w, "lost", 4));
    us_writer_abort(w);
    us_writer_abort(NULL);
    check_contents(&c, path, "headtail");
    CHECK_EQ_U64(count_names(&c, dir), 1); /* no temporary file is left */
}

static void test_replace__two_writers(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_writer *a, *b;
    us_test_tmp(path, sizeof path, "two");
    CHECK_OK(&c, us_writer_open(&c, path, &a));
    CHECK_OK(&c, us_writer_open(&c, path, &b));
    CHECK_OK(&c, us_writer_write(a, "aaaa", 4));
    CHECK_OK(&c, us_writer_write(b, "bb", 2));
    CHECK_OK(&c, us_writer_commit(a));
    CHECK_OK(&c, us_writer_commit(b));
    check_contents(&c, path, "bb");
}

static void test_replace__refusals(void)
{
    us_ctx c = ctx();
    char dir[1024], path[1100];
    us_writer *w = NULL;
    us_test_tmp(dir, sizeof dir, "refuse");
    us_test_path(path, sizeof path, dir, "not/there");
    CHECK_ERR(us_file_replace(&c, path, "x", 1), US_IO);
    CHECK(strstr(c.diag.text, "not/there") != NULL);
    CHECK_OK(&c, us_mkdirs(&c, path)); /* now a folder: cannot be replaced by a file */
    CHECK_ERR(us_file_replace(&c, path, "x", 1), US_IO);
    us_test_path(path, sizeof path, dir, "not");
    CHECK_EQ_U64(count_names(&c, path), 1);
    char longest[6000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    CHECK_ERR(us_writer_open(&c, longest, &w), US_ARG);
    CHECK(w == NULL);
}

/* A process that is killed while it writes leaves the old contents. */
static void test_replace__killed(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_test_tmp(path, sizeof path, "killed");
    CHECK_OK(&c, us_file_replace(&c, path, "old", 3));
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            for (;;) {
                us_writer *w;
                char block[8192];
                memset(block, 'n', sizeof block);
                if (us_writer_open(&c, path, &w) != US_OK) _exit(1);
                for (int k = 0; k < 8; k++)
                    if (us_writer_write(w, block, sizeof block) != US_OK) _exit(1);
                if (us_writer_commit(w) != US_OK) _exit(1);
            }
        }
        struct timespec t = {0, 1000000 + i * 700000};
        nanosleep(&t, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        us_buf b;
        us_buf_init(&b, &c, 1 << 20);
        CHECK_OK(&c, us_file_read(&c, path, &b));
        CHECK(b.n == 8 * 8192 || (b.n == 3 && !memcmp(b.p, "old", 3)));
        us_buf_deinit(&b);
    }
}

static void test_open__small_and_limits(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_file *f = NULL;
    us_test_tmp(path, sizeof path, "small");
    CHECK_ERR(us_file_open(&c, path, 100, &f), US_NOTFOUND);
    us_test_write_file(path, "hello", 5);
    CHECK_OK(&c, us_file_open(&c, path, 5, &f));
    CHECK_EQ_U64(us_file_size(f), 5);
    CHECK_EQ_U64((uintptr_t)us_file_data(f) % 64, 0);
    CHECK_EQ_MEM(us_file_data(f), "hello", 5);
    CHECK(us_file_ok(f));
    us_file_close(f);
    us_file_close(NULL);
    f = NULL;
    CHECK_ERR(us_file_open(&c, path, 4, &f), US_LIMIT);
    CHECK_ERR(us_file_open(&c, us_test_tmpdir(), 100, &f), US_IO);
    CHECK(f == NULL);
    us_test_write_file(path, "", 0);
    CHECK_OK(&c, us_file_open(&c, path, 0, &f));
    CHECK_EQ_U64(us_file_size(f), 0);
    us_file_close(f);
    us_buf b;
    us_buf_init(&b, &c, 3);
    us_test_write_file(path, "hello", 5);
    CHECK_ERR(us_file_read(&c, path, &b), US_LIMIT);
    CHECK(strstr(c.diag.text, "small") != NULL);
    us_buf_deinit(&b);
}

static us_file *open_big(us_ctx *c, char *path, size_t n_path, const char *name)
{
    us_file *f;
    us_test_tmp(path, n_path, name);
    uint8_t *p = malloc(BIG);
    CHECK(p != NULL);
    memset(p, 7, BIG);
    us_test_write_file(path, p, BIG);
    free(p);
    CHECK_OK(c, us_file_open(c, path, UINT64_MAX, &f));
    CHECK_EQ_U64(us_file_size(f), BIG);
    CHECK(us_file_data(f)[BIG - 1] == 7 && us_file_ok(f));
    return f;
}

static void test_mapped__shrinks(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_file *f = open_big(&c, path, sizeof path, "shrinks");
    CHECK(truncate(path, 100000) == 0);
    const volatile uint8_t *p = us_file_data(f);
    uint64_t sum = 0;
    for (size_t i = 0; i < BIG; i++)
        sum += p[i];
    CHECK_EQ_U64(sum, 7 * 100000);
    CHECK(!us_file_ok(f));
    us_file_close(f);
}

static void test_mapped__shrinks_within_the_page(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_file *f = open_big(&c, path, sizeof path, "within");
    CHECK(truncate(path, BIG - 1) == 0);
    CHECK(!us_file_ok(f));
    us_file_close(f);
}

static void *sum_bytes(void *arg)
{
    const volatile uint8_t *p = us_file_data(arg);
    uint64_t sum = 0;
    for (size_t i = 0; i < BIG; i += 512)
        sum += p[i];
    return (void *)(uintptr_t)sum;
}

static void test_mapped__threads_meet_the_hole(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_file *f = open_big(&c, path, sizeof path, "threads");
    CHECK(truncate(path, 0) == 0);
    pthread_t t[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&t[i], NULL, sum_bytes, f) == 0);
    for (int i = 0; i < 4; i++) {
        void *sum;
        pthread_join(t[i], &sum);
        CHECK_EQ_U64((uintptr_t)sum, 0);
    }
    CHECK(!us_file_ok(f));
    us_file_close(f);
}

/* A bus error that is not ours still ends the process. */
static void test_mapped__foreign_fault(void)
{
    us_ctx c = ctx();
    char path[1024], other[1024];
    us_file *f = open_big(&c, path, sizeof path, "ours");
    us_test_tmp(other, sizeof other, "theirs");
    us_test_write_file(other, "", 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        FILE *o = fopen(other, "rb");
        volatile uint8_t *p =
            o ? mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(o), 0) : MAP_FAILED;
        if (p == MAP_FAILED) _exit(41);
        (void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO); /* a sanitizer's report */
        _exit(p[0] ? 42 : 43);
    }
    int status;
    waitpid(pid, &status, 0);
    /* by the signal, or by the report of a sanitizer whose handler was there before */
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS
                              : WEXITSTATUS(status) < 41 && WEXITSTATUS(status) > 0);
    CHECK(us_file_ok(f));
    us_file_close(f);
}

static void test_folders__make_list_join(void)
{
    us_ctx c = ctx();
    us_arena *a;
    char dir[1024], path[1100], **names;
    size_t n;
    CHECK_OK(&c, us_arena_new(&c, "t", 1 << 20, &a));
    us_test_tmp(dir, sizeof dir, "dirs/a//b/");
    CHECK_OK(&c, us_mkdirs(&c, dir));
    CHECK_OK(&c, us_mkdirs(&c, dir));
    CHECK(us_path_is_dir(dir));
    static const char *const made[] = {"z", "B", "a.c", ".hidden"};
    for (size_t i = 0; i < US_LEN(made); i++)
        us_test_write_file(us_test_path(path, sizeof path, dir, made[i]), "x", 1);
    CHECK_OK(&c, us_dir_list(&c, a, dir, &names, &n));
    CHECK_EQ_U64(n, 4);
    CHECK_EQ_STR(names[0], ".hidden");
    CHECK_EQ_STR(names[1], "B");
    CHECK_EQ_STR(names[3], "z");
    CHECK(us_path_exists(path) && !us_path_is_dir(path));
    CHECK_ERR(us_mkdirs(&c, path), US_IO); /* a file is in the way */
    CHECK_ERR(us_dir_list(&c, a, "/nowhere/at/all", &names, &n), US_NOTFOUND);
    CHECK_EQ_STR(us_path_join(a, "d", "n"), "d/n");
    CHECK_EQ_STR(us_path_join(a, "d/", "n"), "d/n");
    CHECK_EQ_STR(us_path_join(a, "d", "/n"), "/n");
    CHECK_EQ_STR(us_path_join(a, "", "n"), "n");
    CHECK_EQ_STR(us_path_dir(a, "a/b/c"), "a/b");
    CHECK_EQ_STR(us_path_dir(a, "c"), ".");
    CHECK_EQ_STR(us_path_dir(a, "/c"), "/");
    us_arena_free(a);
}

static void test_append__processes_do_not_mix(void)
{
    us_ctx c = ctx();
    char path[1024];
    us_test_tmp(path, sizeof path, "log");
    pid_t pid[3];
    for (int k = 0; k < 3; k++) {
        pid[k] = fork();
        CHECK(pid[k] >= 0);
        if (pid[k] == 0) {
            char line[64];
            memset(line, 'a' + k, sizeof line);
            line[63] = '\n';
            for (int i = 0; i < 200; i++)
                if (us_file_append(&c, path, line, sizeof line) != US_OK) _exit(1);
            _exit(0);
        }
    }
    for (int k = 0; k < 3; k++) {
        int status;
        waitpid(pid[k], &status, 0);
        CHECK_EQ_I64(status, 0);
    }
    us_buf b;
    us_buf_init(&b, &c, 1 << 20);
    CHECK_OK(&c, us_file_read(&c, path, &b));
    CHECK_EQ_U64(b.n, 3 * 200 * 64);
    for (size_t i = 0; i < b.n; i++)
        CHECK(i % 64 == 63 ? b.p[i] == '\n' : b.p[i] == b.p[i / 64 * 64]);
    us_buf_deinit(&b);
}

static us_err use_files(us_ctx *c, void *path)
{
    us_file *f;
    us_arena *a = NULL;
    us_buf b;
    char **names;
    size_t n;
    us_err e;
    us_buf_init(&b, c, 1 << 20);
    US_GO(us_file_replace(c, path, "abc", 3));
    US_GO(us_file_open(c, path, 100, &f));
    us_file_close(f);
    US_GO(us_file_read(c, path, &b));
    US_GO(us_arena_new(c, "t", 1 << 20, &a));
    US_GO(us_dir_list(c, a, us_test_tmpdir(), &names, &n));
out:
    us_arena_free(a);
    us_buf_deinit(&b);
    return e;
}

static void test_map_and_peek__small_files(void)
{
    char path[1024], got[8] = {0};
    us_ctx c;
    us_file *f;
    size_t n = 99;
    us_ctx_init(&c);
    us_test_tmp(path, sizeof path, "peeked");
    CHECK_ERR(us_file_map(&c, path, 100, &f), US_NOTFOUND);
    CHECK_ERR(us_file_peek(&c, path, got, 4, &n), US_NOTFOUND);
    CHECK_ERR(us_file_peek(&c, us_test_tmpdir(), got, 4, &n), US_IO);
    CHECK_EQ_U64(n, 99);
    CHECK_OK(&c, us_file_replace(&c, path, "hello", 5));
    CHECK_OK(&c, us_file_peek(&c, path, got, 4, &n));
    CHECK_EQ_U64(n, 4);
    CHECK_EQ_STR(got, "hell");
    CHECK_OK(&c, us_file_peek(&c, path, got, 8, &n));
    CHECK_EQ_U64(n, 5);
    CHECK_ERR(us_file_map(&c, path, 4, &f), US_LIMIT);
    CHECK_OK(&c, us_file_map(&c, path, 5, &f));
    CHECK_EQ_U64(us_file_size(f), 5);
    CHECK_EQ_MEM(us_file_data(f), "hello", 5);
    CHECK(us_file_ok(f));
    us_file_close(f);
    CHECK_OK(&c, us_file_replace(&c, path, "", 0));
    CHECK_OK(&c, us_file_map(&c, path, 5, &f));
    CHECK_EQ_U64(us_file_size(f), 0);
    us_file_close(f);
    us_ctx_deinit(&c);
}

static void test_files__nomem(void)
{
    char path[1024];
    us_torture("files", use_files, (void *)(uintptr_t)us_test_tmp(path, sizeof path, "nomem"));
}

static const us_test_case cases[] = {
    US_CASE(test_replace__old_or_new),
    US_CASE(test_replace__two_writers),
    US_CASE(test_replace__refusals),
    US_CASE(test_replace__killed),
    US_CASE(test_open__small_and_limits),
    US_CASE(test_mapped__shrinks),
    US_CASE(test_mapped__shrinks_within_the_page),
    US_CASE(test_mapped__threads_meet_the_hole),
    US_CASE(test_mapped__foreign_fault),
    US_CASE(test_folders__make_list_join),
    US_CASE(test_append__processes_do_not_mix),
    US_CASE(test_map_and_peek__small_files),
    US_CASE(test_files__nomem),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
