/* The CSV reader: the first byte chooses options, the rest is the text. What parses is walked through every consumer that takes a
 * table as it is: snapshot, schema, profile. */
#include "base/ctx.h"
#include "data/csv.h"
#include "data/profile.h"
#include "data/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(us_ctx *c, us_arena *a, const us_table *t)
{
    us_data_schema s;
    us_profile p;
    us_buf b;
    us_buf_init(&b, c, (size_t)1 << 26);
    (void)(us_snapshot_print(c, t, &b) == US_OK);
    us_buf_deinit(&b);
    if (us_schema_infer(c, a, t, NULL, &s) != US_OK) return;
    us_violations v;
    (void)(us_schema_check(c, a, &s, t, &v) == US_OK);
    (void)(us_profile_make(c, a, t, &p) == US_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const us_sv missing[] = {{"?", 1}, {"NA", 2}};
    us_ctx c;
    us_arena *a;
    us_table *t = NULL;
    if (size == 0) return 0;
    us_ctx_init(&c);
    unsigned f = data[0];
    us_csv_opts o = {.header = (us_csv_header)(f & 1 ? US_CSV_HEADER_NO : US_CSV_HEADER_AUTO),
                     .trim = f >> 1 & 1,
                     .skip_bad = f >> 2 & 1,
                     .comment = f >> 3 & 1 ? '#' : 0,
                     .missing = missing,
                     .n_missing = f >> 4 & 1 ? 2 : 0,
                     .no_times = f >> 5 & 1,
                     .max_bytes = (size_t)1 << 22};
    us_buf text;
    us_buf_init(&text, &c, (size_t)1 << 22);
    if (us_arena_new(&c, "fuzz", (size_t)1 << 28, &a) == US_OK) {
        if (us_gunzip(&c, "fuzz", data + 1, size - 1, o.max_bytes, &text) == US_OK &&
            us_csv_parse(&c, "fuzz", us_buf_sv(&text), &o, &t, NULL) == US_OK)
            use(&c, a, t);
        us_table_free(t);
        us_arena_free(a);
    }
    us_buf_deinit(&text);
    us_ctx_deinit(&c);
    return 0;
}
