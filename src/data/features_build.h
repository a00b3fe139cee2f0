/* data/features_build.h - inside the feature builder: its state, and the part for timestamps. */
#ifndef USTA_DATA_FEATURES_BUILD_H
#define USTA_DATA_FEATURES_BUILD_H

#include "data/features.h"

typedef struct us_fit { /* offset and factor: entry = (x - offset) * factor */
    float offset, factor;
} us_fit;

typedef struct us_fbuild {
    us_ctx *c;
    us_arena *a;       /* names */
    us_arena *scratch; /* columns of training values */
    us_builder b;
    us_features *f;
    const us_data_schema *s;
    const us_table *t;
    const uint32_t *rows; /* training rows; NULL: all n_fit */
    size_t n_fit;
    const us_feature_opts *o;
    us_vid *inputs;       /* decoder inputs */
    US_VEC(us_vid) parts; /* float [N,k] each, to be put side by side */
    US_VEC(us_sv) names;
} us_fbuild;

us_err us_fbuild_name(us_fbuild *k, const char *fmt, us_sv column, const char *part) US_MUST;
us_err us_fbuild_part(us_fbuild *k, us_vid v) US_MUST;
/* Scale from training values x (NaN: missing, left out); sorts x. tmp: n doubles. */
us_fit us_fit_scale(us_scale how, double *x, double *tmp, size_t n);
us_err us_features_time(us_fbuild *k, size_t i_feature, const us_feature_rule *rule) US_MUST;

#endif
