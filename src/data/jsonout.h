/* data/jsonout.h - building JSON trees where any step may run out of memory: failures stick, one check at the end. */
#ifndef USTA_DATA_JSONOUT_H
#define USTA_DATA_JSONOUT_H

#include "conf/json.h"

typedef struct us_jout {
    bool failed;
} us_jout;

json_t *us_jo_num(us_jout *o, double v); /* NaN and infinities: null */
json_t *us_jo_int(us_jout *o, uint64_t v);
json_t *us_jo_sv(us_jout *o, us_sv s);
json_t *us_jo_z(us_jout *o, const char *s);
json_t *us_jo_bool(us_jout *o, bool v);
json_t *us_jo_object(us_jout *o);
json_t *us_jo_array(us_jout *o);
/* Takes v. */
void us_jo_set(us_jout *o, json_t *object, const char *key, json_t *v);
void us_jo_push(us_jout *o, json_t *array, json_t *v);
json_t *us_jo_svs(us_jout *o, const us_sv *v, size_t n);
json_t *us_jo_counts(us_jout *o, const uint64_t *v, size_t n);
json_t *us_jo_nums(us_jout *o, const double *v, size_t n);

/* Readers of untrusted trees: US_FORMAT with `what` in front. Results in the arena. */
us_err us_ji_sv(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                us_sv *out) US_MUST;
us_err us_ji_count(us_ctx *c, const json_t *o, const char *what, const char *key,
                   uint64_t *out) US_MUST;
us_err us_ji_num(us_ctx *c, const json_t *o, const char *what, const char *key,
                 double *out) US_MUST; /* null: NaN */
us_err us_ji_array(us_ctx *c, const json_t *o, const char *what, const char *key, size_t max,
                   json_t **out, size_t *n) US_MUST;
us_err us_ji_svs(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                 size_t max, us_sv **out, size_t *n) US_MUST;
us_err us_ji_counts(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                    size_t max, uint64_t **out, size_t *n) US_MUST;
us_err us_ji_nums(us_ctx *c, us_arena *a, const json_t *o, const char *what, const char *key,
                  size_t max, double **out, size_t *n) US_MUST;

#endif
