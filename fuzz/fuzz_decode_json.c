/* The row decoder on served bodies: the same bytes as JSON rows and as CSV, against a schema with every kind. */
#include "base/ctx.h"
#include "data/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char table_text[] = "n,i,b,c,t,x,y\n"
                                 "1.5,3,true,red,2020-01-01,aaa,yes\n"
                                 ",,,,,,no\n"
                                 "-2,7,false,blue,2020-01-02,bb,yes\n";

static void decode(us_ctx *c, us_arena *a, const us_data_schema *s, us_sv body)
{
    us_decoder d;
    json_t *j;
    size_t n;
    if (us_decoder_init(c, a, s, US_PACK_AUTO, &d) != US_OK) return;
    us_value *v = us_new_n(a, us_value, d.n_inputs);
    if (!v) return;
    (void)(us_decode_csv(c, a, &d, body, true, &n, v) == US_OK);
    (void)(us_decode_csv(c, a, &d, body, false, &n, v) == US_OK);
    if (us_json_parse(c, a, "body", body, (size_t)1 << 20, &j) != US_OK) return;
    if (us_decode_json(c, a, &d, j, &n, v) != US_OK) return;
    for (size_t f = 0; f < d.n_features; f++)
        for (size_t i = 0; i < n; i++) {
            if (us_decoded_is_string(&d, f))
                (void)us_decoded_string(&d, v, f, i);
            else
                (void)us_decoded_number(&d, v, f, i);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a;
    us_table *t = NULL;
    us_data_schema s;
    us_ctx_init(&c);
    if (us_arena_new(&c, "fuzz", (size_t)1 << 28, &a) == US_OK) {
        us_schema_override text = {.column = US_SV("x"), .kind = US_DK_TEXT, .has_kind = true};
        us_schema_opts o = {.target = US_SV("y"), .overrides = &text, .n_overrides = 1};
        if (us_csv_parse(&c, "fuzz", us_sv_of(table_text), NULL, &t, NULL) == US_OK &&
            us_schema_infer(&c, a, t, &o, &s) == US_OK)
            decode(&c, a, &s, (us_sv){(const char *)data, size});
        us_table_free(t);
        us_arena_free(a);
    }
    us_ctx_deinit(&c);
    return 0;
}
