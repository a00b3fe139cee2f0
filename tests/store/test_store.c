/* The workspace: objects, records, lineage, refusal of newer versions, damage, killed writers, the lock. */
#include "store/store.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <time.h>

#include "us_torture.h"

typedef struct box {
    us_ctx c;
    us_arena *a;
    us_store *s;
    char dir[1024];
} box;

static void box_dir(box *b, const char *name)
{
    us_ctx_init(&b->c);
    CHECK_OK(&b->c, us_arena_new(&b->c, "test", (size_t)64 << 20, &b->a));
    us_test_tmp(b->dir, sizeof b->dir, name);
    CHECK(mkdir(b->dir, 0755) == 0);
    b->s = NULL;
}

static void box_open(box *b, const char *name)
{
    box_dir(b, name);
    CHECK_OK(&b->c, us_store_open(&b->c, b->dir, true, &b->s));
}

static void box_close(box *b)
{
    us_store_close(b->s);
    us_arena_free(b->a);
    us_ctx_deinit(&b->c);
}

static void test_hash__known_answer(void)
{
    us_hash h;
    us_hash_bytes("abc", 3, &h); /* BLAKE2b-256("abc"), from the reference b2sum -l 256 */
    CHECK_EQ_STR(h.hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    us_hash_bytes("", 0, &h);
    CHECK_EQ_STR(h.hex, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

static void test_hasher__parts_are_not_glued(void)
{
    us_hash x, y;
    us_hasher h;
    us_hasher_init(&h);
    us_hasher_add(&h, "ab", 2);
    us_hasher_add(&h, "c", 1);
    us_hasher_done(&h, &x);
    us_hasher_init(&h);
    us_hasher_add(&h, "a", 1);
    us_hasher_add(&h, "bc", 2);
    us_hasher_done(&h, &y);
    CHECK(!us_hash_eq(&x, &y));
}

static void test_object__put_get_is_read_only(void)
{
    box b;
    box_open(&b, "put");
    us_hash h, again;
    CHECK_OK(&b.c, us_store_put(b.s, &b.c, "hello", 5, &h));
    CHECK_OK(&b.c, us_store_put(b.s, &b.c, "hello", 5, &again));
    CHECK(us_hash_eq(&h, &again) && us_store_has(b.s, &h));
    us_file *f = NULL;
    CHECK_OK(&b.c, us_store_get(b.s, &b.c, &h, true, &f));
    CHECK_EQ_U64(us_file_size(f), 5);
    CHECK_EQ_MEM(us_file_data(f), "hello", 5);
    us_file_close(f);
    char *path = NULL;
    struct stat st;
    CHECK_OK(&b.c, us_store_path(b.s, &b.c, b.a, &h, &path));
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0222) == 0);
    box_close(&b);
}

static void test_object__missing_and_flipped(void)
{
    box b;
    box_open(&b, "flip");
    us_hash h, other;
    us_file *f = NULL;
    us_hash_bytes("nobody put this", 15, &other);
    CHECK_ERR(us_store_get(b.s, &b.c, &other, true, &f), US_NOTFOUND);
    CHECK_OK(&b.c, us_store_put(b.s, &b.c, "contents", 8, &h));
    char *path = NULL;
    CHECK_OK(&b.c, us_store_path(b.s, &b.c, b.a, &h, &path));
    CHECK(chmod(path, 0644) == 0);
    us_test_write_file(path, "Contents", 8);
    CHECK_ERR(us_store_get(b.s, &b.c, &h, true, &f), US_FORMAT);
    us_store_report r;
    CHECK_OK(&b.c, us_store_check(b.s, &b.c, b.a, &r));
    CHECK_EQ_U64(r.n_bad, 1);
    CHECK(r.first && strstr(r.first, h.hex));
    box_close(&b);
}

static us_stage_rec stage_of(box *b, const char *stage, const char *key, us_io *in, size_t n_in,
                             us_io *out, size_t n_out)
{
    us_stage_rec r = {.stage = stage,
                      .program = "test",
                      .in = in,
                      .n_in = n_in,
                      .out = out,
                      .n_out = n_out,
                      .start_us = 5,
                      .wall_ns = 7,
                      .cpu_ns = 6};
    us_hash_bytes(key, strlen(key), &r.key);
    CHECK_OK(&b->c, us_json_keep(&b->c, b->a, r.config = json_pack("{s:f}", "lr", 0.1)));
    CHECK_OK(&b->c, us_json_keep(&b->c, b->a, r.facts = json_pack("{s:i}", "rows", 3)));
    return r;
}

static void test_stage__round_trip_and_whole(void)
{
    box b;
    box_open(&b, "stage");
    us_io in[1] = {{"file", {{0}}}}, out[2] = {{"a", {{0}}}, {"b", {{0}}}};
    us_hash_bytes("in", 2, &in[0].hash);
    CHECK_OK(&b.c, us_store_put(b.s, &b.c, "A", 1, &out[0].hash));
    CHECK_OK(&b.c, us_store_put(b.s, &b.c, "B", 1, &out[1].hash));
    us_stage_rec r = stage_of(&b, "data", "k1", in, 1, out, 2), got;
    CHECK_ERR(us_store_find_stage(b.s, &b.c, b.a, &r.key, &got), US_NOTFOUND);
    CHECK_OK(&b.c, us_store_begin(b.s, &b.c));
    CHECK_OK(&b.c, us_store_put_stage(b.s, &b.c, &r));
    CHECK_OK(&b.c, us_store_put_stage(b.s, &b.c, &r)); /* the same again is no second record */
    CHECK_OK(&b.c, us_store_set_current(b.s, &b.c, "data", &r.key));
    CHECK_OK(&b.c, us_store_commit(b.s, &b.c));
    CHECK_OK(&b.c, us_store_current_stage(b.s, &b.c, b.a, "data", &got));
    CHECK_EQ_STR(got.key.hex, r.key.hex);
    CHECK_EQ_U64(got.n_in, 1);
    CHECK_EQ_U64(got.n_out, 2);
    CHECK_EQ_STR(got.out[1].name, "b");
    CHECK_EQ_STR(got.out[1].hash.hex, out[1].hash.hex);
    CHECK_NEAR(us_json_f64_or(got.config, "lr", 0), 0.1, 0);
    CHECK_EQ_I64(got.wall_ns, 7);
    CHECK(us_store_stage_whole(b.s, &got));
    char *path = NULL;
    CHECK_OK(&b.c, us_store_path(b.s, &b.c, b.a, &out[0].hash, &path));
    CHECK(unlink(path) == 0);
    CHECK(!us_store_stage_whole(b.s, &got));
    us_store_report rep;
    CHECK_OK(&b.c, us_store_check(b.s, &b.c, b.a, &rep));
    CHECK_EQ_U64(rep.n_missing, 1);
    box_close(&b);
}

static void put_chain(box *b, us_hash *snapshot, us_hash *model, us_hash *validation)
{
    us_hash split, run;
    CHECK_OK(&b->c, us_store_put(b->s, &b->c, "snap", 4, snapshot));
    CHECK_OK(&b->c, us_store_put(b->s, &b->c, "split", 5, &split));
    CHECK_OK(&b->c, us_store_put(b->s, &b->c, "run", 3, &run));
    CHECK_OK(&b->c, us_store_put(b->s, &b->c, "model", 5, model));
    CHECK_OK(&b->c, us_store_put(b->s, &b->c, "valid", 5, validation));
    us_snapshot_rec sn = {*snapshot, {{0}}, "x.csv", 10, 2, 1, NULL};
    us_split_rec sp = {split, *snapshot, "random", 1, 6, 2, 2, 1};
    us_run_rec ru = {run, split, "mlp", "{}", "{}", 1, 1};
    us_model_rec mo = {*model, run, "m", "classify", NULL, 1};
    us_validation_rec va = {*validation, *model, true, NULL, 1};
    CHECK_OK(&b->c, us_store_begin(b->s, &b->c));
    CHECK_OK(&b->c, us_store_put_snapshot(b->s, &b->c, &sn));
    CHECK_OK(&b->c, us_store_put_split(b->s, &b->c, &sp));
    CHECK_OK(&b->c, us_store_put_run(b->s, &b->c, &ru));
    CHECK_OK(&b->c, us_store_put_model(b->s, &b->c, &mo));
    CHECK_OK(&b->c, us_store_put_validation(b->s, &b->c, &va));
    CHECK_OK(&b->c, us_store_commit(b->s, &b->c));
}

static void test_lineage__both_ways(void)
{
    box b;
    box_open(&b, "lineage");
    us_hash snapshot, model, validation, found;
    put_chain(&b, &snapshot, &model, &validation);
    us_lineage_row *rows = NULL;
    size_t n = 0;
    CHECK_OK(&b.c, us_store_lineage(b.s, &b.c, b.a, &validation, true, &rows, &n));
    CHECK_EQ_U64(n, 5);
    CHECK_EQ_STR(rows[1].kind, "model");
    CHECK_EQ_STR(rows[4].kind, "snapshot");
    CHECK_EQ_I64(rows[4].depth, 4);
    CHECK_OK(&b.c, us_store_lineage(b.s, &b.c, b.a, &snapshot, false, &rows, &n));
    CHECK_EQ_U64(n, 5);
    CHECK_EQ_STR(rows[4].kind, "validation");
    char prefix[9] = {0};
    memcpy(prefix, model.hex, 8);
    CHECK_OK(&b.c, us_store_resolve(b.s, &b.c, prefix, &found));
    CHECK_EQ_STR(found.hex, model.hex);
    CHECK_ERR(us_store_resolve(b.s, &b.c, "0000", &found), US_NOTFOUND);
    CHECK_ERR(us_store_resolve(b.s, &b.c, "xyz", &found), US_ARG);
    us_validation_rec v;
    CHECK_OK(&b.c, us_store_validation_of(b.s, &b.c, b.a, &model, &v));
    CHECK(v.passed && us_hash_eq(&v.hash, &validation));
    box_close(&b);
}

static void test_entity__parent_must_be_there(void)
{
    box b;
    box_open(&b, "parent");
    us_hash h, nobody;
    us_hash_bytes("x", 1, &h);
    us_hash_bytes("y", 1, &nobody);
    us_validation_rec v = {h, nobody, true, NULL, 1};
    CHECK_ERR(us_store_put_validation(b.s, &b.c, &v), US_ARG);
    box_close(&b);
}

static void sql(const char *dir, const char *text)
{
    char path[1200];
    sqlite3 *db = NULL;
    us_test_path(path, sizeof path, dir, ".usta/usta.db");
    CHECK(sqlite3_open(path, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

static void test_open__newer_is_refused(void)
{
    box b;
    box_open(&b, "newer");
    us_store_close(b.s);
    b.s = NULL;
    sql(b.dir, "INSERT INTO migrations VALUES (99, 'from the future', 0)");
    CHECK_ERR(us_store_open(&b.c, b.dir, true, &b.s), US_UNSUPP);
    CHECK(strstr(b.c.diag.text, "newer usta") && strstr(b.c.diag.text, "99"));
    box_close(&b);
}

static void test_open__older_is_migrated(void)
{
    box b;
    char path[1200];
    box_dir(&b, "older");
    us_test_path(path, sizeof path, b.dir, ".usta");
    CHECK(mkdir(path, 0755) == 0);
    sql(b.dir, "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
               "applied_us INTEGER NOT NULL)");
    CHECK_OK(&b.c, us_store_open(&b.c, b.dir, true, &b.s));
    us_hash snapshot, model, validation;
    put_chain(&b, &snapshot, &model, &validation);
    box_close(&b);
}

static void test_open__not_a_database_and_not_there(void)
{
    box b;
    char path[1200];
    box_dir(&b, "junk");
    CHECK_ERR(us_store_open(&b.c, b.dir, false, &b.s), US_NOTFOUND);
    us_test_path(path, sizeof path, b.dir, ".usta");
    CHECK(mkdir(path, 0755) == 0);
    us_test_path(path, sizeof path, b.dir, ".usta/usta.db");
    us_test_write_file(path,
                       "this is no database, only a text that is long enough to look at......"
                       "......................................................",
                       122);
    CHECK_ERR(us_store_open(&b.c, b.dir, true, &b.s), US_FORMAT);
    box_close(&b);
}

/* A child writes objects and records until it is killed; what it leaves must be whole. */
static void writer(const char *dir)
{
    us_ctx c;
    us_store *s = NULL;
    us_ctx_init(&c);
    if (us_store_open(&c, dir, true, &s) != US_OK) _exit(2);
    for (int i = 0;; i++) {
        char text[4096];
        memset(text, 'a' + i % 26, sizeof text);
        memcpy(text, &i, sizeof i);
        us_hash h;
        us_snapshot_rec r = {.source = "x", .n_rows = i};
        if (us_store_put(s, &c, text, sizeof text, &h) != US_OK) _exit(3);
        r.hash = h;
        if (us_store_begin(s, &c) != US_OK || us_store_put_snapshot(s, &c, &r) != US_OK ||
            us_store_commit(s, &c) != US_OK)
            _exit(4);
    }
}

static void test_kill__nothing_recorded_is_wrong(void)
{
    box b;
    box_open(&b, "kill");
    int rounds = us_test_long() ? 100 : 10;
    for (int i = 0; i < rounds; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) writer(b.dir);
        struct timespec nap = {0, (2 + (i * 37) % 50) * 1000000L};
        nanosleep(&nap, NULL);
        int status = 0;
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFSIGNALED(status));
    }
    us_store_report r;
    CHECK_OK(&b.c, us_store_check(b.s, &b.c, b.a, &r));
    CHECK(r.db_ok && r.n_bad == 0);
    box_close(&b);
}

static void test_lock__second_is_told_who(void)
{
    box b;
    box_open(&b, "lock");
    us_store *other = NULL;
    CHECK_OK(&b.c, us_store_open(&b.c, b.dir, true, &other));
    CHECK_OK(&b.c, us_store_lock(b.s, &b.c, "usta run", 0));
    CHECK_ERR(us_store_lock(other, &b.c, "usta run", 50), US_NO);
    CHECK(strstr(b.c.diag.text, "usta run, process "));
    us_store_unlock(b.s);
    CHECK_OK(&b.c, us_store_lock(other, &b.c, "usta run", 0));
    us_store_close(other);
    box_close(&b);
}

static void test_hash_input__remembers_but_sees_changes(void)
{
    box b;
    char path[1200];
    box_open(&b, "input");
    us_test_path(path, sizeof path, b.dir, "x.csv");
    us_test_write_file(path, "a,b\n1,2\n", 8);
    us_hash h1, h2, h3;
    CHECK_OK(&b.c, us_store_hash_input(b.s, &b.c, path, &h1));
    CHECK_OK(&b.c, us_store_hash_input(b.s, &b.c, path, &h2));
    CHECK(us_hash_eq(&h1, &h2));
    us_test_write_file(path, "a,b\n1,3\n", 8); /* same size, same second */
    CHECK_OK(&b.c, us_store_hash_input(b.s, &b.c, path, &h3));
    CHECK(!us_hash_eq(&h1, &h3));
    CHECK_ERR(us_store_hash_input(b.s, &b.c, "/nowhere/x", &h1), US_NOTFOUND);
    box_close(&b);
}

static us_err write_and_read(us_ctx *c, void *arg)
{
    us_arena *a = NULL;
    us_store *s = NULL;
    us_file *f = NULL;
    us_io io[1] = {{"text", {{0}}}};
    us_stage_rec r = {.stage = "data", .program = "t", .out = io, .n_out = 1}, got;
    us_lineage_row *rows = NULL;
    us_store_report rep;
    size_t n = 0;
    us_err e = US_OK;
    us_hash_bytes("key", 3, &r.key);
    US_GO(us_arena_new(c, "test", (size_t)16 << 20, &a));
    US_GO(us_json_keep(c, a, r.config = json_object()));
    US_GO(us_json_keep(c, a, r.facts = json_object()));
    US_GO(us_store_open(c, arg, true, &s));
    US_GO(us_store_put(s, c, "hello", 5, &io[0].hash));
    US_GO(us_store_begin(s, c));
    US_GO(us_store_put_stage(s, c, &r));
    US_GO(us_store_commit(s, c));
    US_GO(us_store_find_stage(s, c, a, &r.key, &got));
    US_GO(us_store_get(s, c, &io[0].hash, true, &f));
    US_GO(us_store_lineage(s, c, a, &io[0].hash, true, &rows, &n));
    US_GO(us_store_check(s, c, a, &rep));
out:
    us_file_close(f);
    us_store_close(s);
    us_arena_free(a);
    return e;
}

static void test_store__every_allocation_fails(void)
{
    box b;
    box_dir(&b, "torture");
    us_torture("store", write_and_read, b.dir);
    box_close(&b);
}

static const us_test_case cases[] = {
    US_CASE(test_hash__known_answer),
    US_CASE(test_hasher__parts_are_not_glued),
    US_CASE(test_object__put_get_is_read_only),
    US_CASE(test_object__missing_and_flipped),
    US_CASE(test_stage__round_trip_and_whole),
    US_CASE(test_lineage__both_ways),
    US_CASE(test_entity__parent_must_be_there),
    US_CASE(test_open__newer_is_refused),
    US_CASE(test_open__older_is_migrated),
    US_CASE(test_open__not_a_database_and_not_there),
    US_CASE(test_kill__nothing_recorded_is_wrong),
    US_CASE(test_lock__second_is_told_who),
    US_CASE(test_hash_input__remembers_but_sees_changes),
    US_CASE(test_store__every_allocation_fails),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
