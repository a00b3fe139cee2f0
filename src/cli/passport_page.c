/* cli/passport_page.c - a passport on one page: who made the model, of what, how good it was. All of it is in --json. */
#include <math.h>

#include "cli/passport_page.h"

#define PAGE_COLUMNS 12 /* columns of the schema shown */
#define PAGE_CLASSES 12

static us_err facts(us_cli *cli, const json_t *p)
{
    us_rtable *t;
    size_t i;
    json_t *v;
    US_TRY(us_rtable_new(cli->c, cli->arena, "Passport (usta.passport)", "what|", &t));
    us_rtable_cell(t, "made by");
    us_rtable_cell(t, us_json_text_or(p, "program", ""));
    us_rtable_cell(t, "task");
    us_rtable_cellf(t, "%s '%s'", us_json_text_or(p, "task", ""),
                    us_json_text_or(p, "target", ""));
    const json_t *classes = json_object_get(p, "classes");
    if (json_array_size(classes)) {
        us_buf b;
        us_buf_init(&b, cli->c, 4096);
        json_array_foreach(classes, i, v)
        {
            if (i == PAGE_CLASSES) break;
            us_buf_addf(&b, i ? ", %.40s" : "%.40s",
                        json_string_value(v) ? json_string_value(v) : "");
        }
        us_rtable_cell(t, "classes");
        us_rtable_cellf(t, "%zu: %s%s", json_array_size(classes), b.n ? b.p : "",
                        i == PAGE_CLASSES ? ", ..." : "");
        us_buf_deinit(&b);
    }
    us_rtable_cell(t, "snapshot");
    us_rtable_cell(t, us_json_text_or(p, "snapshot", ""));
    us_rtable_cell(t, "seed");
    us_rtable_cellf(t, "%lld", (long long)us_json_i64_or(p, "seed", 0));
    us_rtable_cell(t, "features");
    us_rtable_cellf(t, "%zu numbers%s", json_array_size(json_object_get(p, "features")),
                    json_is_true(json_object_get(p, "packed")) ? ", given as one input"
                                                               : ", one input per column");
    json_array_foreach(json_object_get(p, "metrics"), i, v)
    {
        us_rtable_cellf(t, "%s, %s", us_json_text_or(v, "name", ""),
                        us_json_text_or(v, "part", ""));
        us_rtable_f64(t, us_json_f64_or(v, "value", (double)NAN), 4);
    }
    return us_out_table(cli, t);
}

/* Whole numbers as they are, others to four digits. */
static const char *short_number(double v, char out[32])
{
    if (v != floor(v)) return us_print_sig(v, 4, out);
    (void)us_print_f64(v, out);
    return out;
}

/* "0 to 16", or the first words of a vocabulary. */
static void column_range(us_rtable *t, const json_t *k)
{
    const json_t *vocab = json_object_get(k, "vocab");
    double lo = us_json_f64_or(k, "min", (double)NAN),
           hi = us_json_f64_or(k, "max", (double)NAN);
    if (!isnan(lo) && !isnan(hi)) {
        char a[32], b[32];
        us_rtable_cellf(t, "%s to %s", short_number(lo, a), short_number(hi, b));
        return;
    }
    const char *words[3] = {"", "", ""};
    for (size_t i = 0; i < 3; i++)
        if (json_string_value(json_array_get(vocab, i)))
            words[i] = json_string_value(json_array_get(vocab, i));
    size_t n = json_array_size(vocab);
    us_rtable_cellf(t, "%.20s%s%.20s%s%.20s%s", words[0], n > 1 ? ", " : "", words[1],
                    n > 2 ? ", " : "", words[2], n > 3 ? ", ..." : "");
}

static us_err columns(us_cli *cli, const json_t *all)
{
    us_rtable *t;
    size_t i;
    json_t *k;
    US_TRY(us_rtable_new(cli->c, cli->arena, "Columns it was trained on",
                         "name|role|kind|>missing|values", &t));
    json_array_foreach(all, i, k)
    {
        if (i == PAGE_COLUMNS) break;
        double n = us_json_f64_or(k, "n", 0), missing = us_json_f64_or(k, "n_missing", 0);
        us_rtable_cell(t, us_json_text_or(k, "name", ""));
        us_rtable_cell(t, us_json_text_or(k, "role", ""));
        us_rtable_cell(t, us_json_text_or(k, "kind", ""));
        us_rtable_cellf(t, "%.1f %%", n > 0 ? 100 * missing / n : 0);
        column_range(t, k);
    }
    US_TRY(us_out_table(cli, t));
    if (json_array_size(all) > PAGE_COLUMNS)
        us_outf(cli->out, "... and %zu more columns (--json has them all)\n",
                json_array_size(all) - PAGE_COLUMNS);
    return US_OK;
}

static us_err config(us_cli *cli, const json_t *all)
{
    const char *section;
    json_t *v;
    us_out_text(cli->out, "Configuration\n");
    json_object_foreach((json_t *)(uintptr_t)all, section, v)
    {
        us_buf b;
        us_buf_init(&b, cli->c, (size_t)1 << 20);
        us_err e = us_json_print(cli->c, v, &b);
        if (e == US_OK) us_outf(cli->out, "  %s: %s\n", section, b.p);
        us_buf_deinit(&b);
        US_TRY(e);
    }
    return US_OK;
}

us_err us_cli_print_passport(us_cli *cli, const json_t *p)
{
    US_TRY(facts(cli, p));
    us_out_text(cli->out, "\n");
    US_TRY(columns(cli, json_object_get(json_object_get(p, "schema"), "columns")));
    us_out_text(cli->out, "\n");
    return config(cli, json_object_get(p, "config"));
}
