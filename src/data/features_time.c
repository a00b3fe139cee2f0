/* data/features_time.c - parts of a timestamp as integer arithmetic in the graph.
 *
 * int64 microseconds UTC; Mod has Python's sign (fmod = 0), so x - Mod(x, d) is a multiple of d and Div is exact for times
 * before 1970 too. Month and day by H. Hinnant, "chrono-compatible low-level date algorithms" (days -> civil), valid for
 * years after 0. A missing time is taken as 1970 for the arithmetic and its features are set to 0 at the end.
 */
#include <math.h>

#include "base/clock.h"
#include "data/cell.h"
#include "data/features_build.h"

#define DAY_US INT64_C(86400000000)

typedef struct times {
    us_fbuild *k;
    us_builder *b;
    us_vid missing;                  /* bool [N,1] */
    us_vid of_day;                   /* microseconds since midnight */
    us_vid days;                     /* since 1970 */
    us_vid yoe, doe, doy, mp, month; /* civil parts; US_NIL until wanted */
} times;

static us_vid lit(times *t, int64_t v)
{
    return us_b_i64s(t->b, 1, &v);
}
static us_vid add(times *t, us_vid x, int64_t v)
{
    return us_b2(t->b, "Add", x, lit(t, v));
}
static us_vid sub(times *t, us_vid x, us_vid y)
{
    return us_b2(t->b, "Sub", x, y);
}
static us_vid mul(times *t, us_vid x, int64_t v)
{
    return us_b2(t->b, "Mul", x, lit(t, v));
}
static us_vid quo(times *t, us_vid x, int64_t v)
{
    return us_b2(t->b, "Div", x, lit(t, v));
}
static us_vid mod(times *t, us_vid x, int64_t v)
{
    return us_b2(t->b, "Mod", x, lit(t, v));
}
static us_vid to_float(times *t, us_vid x)
{
    us_vid v = us_b1(t->b, "Cast", x);
    us_b_int(t->b, "to", US_F32);
    return v;
}

static void begin(times *t, us_vid in)
{
    t->missing = us_b2(t->b, "Equal", in, lit(t, US_TIME_MISSING));
    us_vid x = us_b3(t->b, "Where", t->missing, lit(t, 0), in);
    t->of_day = mod(t, x, DAY_US);
    t->days = quo(t, sub(t, x, t->of_day), DAY_US);
}

static void civil(times *t)
{
    if (t->month != US_NIL) return;
    us_vid z = add(t, t->days, 719468);
    t->doe = mod(t, z, 146097);
    us_vid a = sub(t, t->doe, quo(t, t->doe, 1460));
    us_vid b = us_b2(t->b, "Add", a, quo(t, t->doe, 36524));
    t->yoe = quo(t, sub(t, b, quo(t, t->doe, 146096)), 365);
    us_vid leap = sub(t, quo(t, t->yoe, 4), quo(t, t->yoe, 100));
    t->doy = sub(t, t->doe, us_b2(t->b, "Add", mul(t, t->yoe, 365), leap)); /* from 1 March */
    t->mp = quo(t, add(t, mul(t, t->doy, 5), 2), 153);
    t->month = add(t, mod(t, add(t, t->mp, 2), 12), 1);
}

static us_vid year_of(times *t)
{
    civil(t);
    us_vid era = quo(t, sub(t, add(t, t->days, 719468), t->doe), 146097);
    us_vid y = us_b2(t->b, "Add", t->yoe, mul(t, era, 400));
    return us_b2(t->b, "Add", y,
                 quo(t, t->mp, 10)); /* January and February belong to the next */
}

static us_vid hour(times *t)
{
    return to_float(t, quo(t, t->of_day, DAY_US / 24));
}
static us_vid dayofweek(times *t)
{
    return to_float(t, mod(t, add(t, t->days, 3), 7));
}
static us_vid month(times *t)
{
    civil(t);
    return to_float(t, t->month);
}
static us_vid day(times *t)
{
    civil(t);
    us_vid before = quo(t, add(t, mul(t, t->mp, 153), 2), 5);
    return to_float(t, add(t, sub(t, t->doy, before), 1));
}
static us_vid year(times *t)
{
    return to_float(t, year_of(t));
}
static us_vid dayofyear(times *t)
{
    us_vid y = add(t, year_of(t), -1);
    us_vid leap = us_b2(t->b, "Add", sub(t, quo(t, y, 4), quo(t, y, 100)), quo(t, y, 400));
    us_vid before = us_b2(t->b, "Add", mul(t, y, 365), leap);
    return to_float(t, add(t, sub(t, add(t, t->days, 719162), before), 1));
}
static us_vid epoch(times *t)
{
    us_vid f = us_b2(t->b, "Mul", to_float(t, t->of_day), us_b_f32(t->b, 1.0f / (float)DAY_US));
    return us_b2(t->b, "Add", to_float(t, t->days), f);
}

/* What a part's node gives for one training value. */
static double part_value(uint32_t part, int64_t us)
{
    int64_t y, of_day = ((us % DAY_US) + DAY_US) % DAY_US, days = (us - of_day) / DAY_US;
    int mo, d, h, mi, s, micro;
    us_us_to_civil(us, &y, &mo, &d, &h, &mi, &s, &micro);
    if (part == US_TP_HOUR) return h;
    if (part == US_TP_DAYOFWEEK) return (double)((((days + 3) % 7) + 7) % 7);
    if (part == US_TP_MONTH) return mo;
    if (part == US_TP_DAY) return d;
    if (part == US_TP_YEAR) return (double)y;
    if (part == US_TP_DAYOFYEAR)
        return (double)(days - us_civil_to_us(y, 1, 1, 0, 0, 0, 0) / DAY_US + 1);
    return (double)days + (double)of_day / (double)DAY_US;
}

static const struct part {
    uint32_t bit;
    const char *name;
    double period; /* 0: not periodic */
    us_vid (*value)(times *t);
} parts[] = {
    {US_TP_HOUR, "hour", 24, hour},
    {US_TP_DAYOFWEEK, "weekday", 7, dayofweek},
    {US_TP_MONTH, "month", 12, month},
    {US_TP_DAY, "day", 31, day},
    {US_TP_DAYOFYEAR, "dayofyear", 365.2425, dayofyear},
    {US_TP_YEAR, "year", 0, year},
    {US_TP_EPOCH, "epoch", 0, epoch},
};

static us_err put(times *t, us_vid v, us_sv column, const char *name, const char *suffix)
{
    char part[40];
    us_buf b;
    us_buf_init(&b, t->k->c, sizeof part);
    us_buf_addf(&b, "%s%s", name, suffix);
    us_err e = us_buf_check(&b);
    v = us_b3(t->b, "Where", t->missing, us_b_f32(t->b, 0), v);
    if (e == US_OK) e = us_fbuild_name(t->k, ".", column, b.p);
    us_buf_deinit(&b);
    US_TRY(e);
    return us_fbuild_part(t->k, v);
}

static us_err cyclic(times *t, const struct part *p, us_sv column)
{
    float w = (float)(2 * 3.14159265358979323846 / p->period);
    us_vid angle = us_b2(t->b, "Mul", p->value(t), us_b_f32(t->b, w));
    US_TRY(put(t, us_b1(t->b, "Sin", angle), column, p->name, ".sin"));
    return put(t, us_b1(t->b, "Cos", angle), column, p->name, ".cos");
}

static us_err plain(times *t, const struct part *p, us_sv column, const us_feature_rule *r,
                    const int64_t *us, double *x, double *tmp)
{
    us_fbuild *k = t->k;
    for (size_t i = 0; i < k->n_fit; i++)
        x[i] = us[i] == US_TIME_MISSING ? (double)NAN : part_value(p->bit, us[i]);
    us_fit fit = us_fit_scale(r->scale, x, tmp, k->n_fit);
    us_vid v = p->value(t);
    v = us_b_node(t->b, "ai.onnx.ml", "Scaler", 1, &v, 1, NULL);
    us_b_floats(t->b, "offset", 1, &fit.offset);
    us_b_floats(t->b, "scale", 1, &fit.factor);
    return put(t, v, column, p->name, "");
}

us_err us_features_time(us_fbuild *k, size_t f, const us_feature_rule *rule)
{
    const us_data_col *d = k->f->decoder.features[f];
    const us_column *col;
    times t = {.k = k, .b = &k->b, .month = US_NIL};
    int64_t *us = us_new_n(k->scratch, int64_t, k->n_fit);
    double *x = us_new_n(k->scratch, double, k->n_fit),
           *tmp = us_new_n(k->scratch, double, k->n_fit);
    if (!us || !x || !tmp) return us_arena_fail(k->c, k->scratch);
    US_TRY(us_table_get(k->c, k->t, d->name, &col));
    for (size_t j = 0; j < k->n_fit; j++) {
        size_t i = k->rows ? k->rows[j] : j;
        if (!us_cell_column_time(k->s, d, col, i, &us[j]))
            return us_fail(k->c, US_FORMAT, "column '" US_SV_FMT "', row %zu: not a time",
                           US_SV_ARG(d->name), i + 1);
    }
    begin(&t, k->inputs[f]);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!(rule->time_parts & parts[i].bit)) continue;
        if (parts[i].period > 0 && (rule->time_parts & US_TP_CYCLIC))
            US_TRY(cyclic(&t, &parts[i], d->name));
        else
            US_TRY(plain(&t, &parts[i], d->name, rule, us, x, tmp));
    }
    return US_OK;
}
