/* flow/stages.c - the table of stages: the lifecycle, readable at one glance. */
#include "flow/stage.h"

/* clang-format off */
const us_stage us_stages[] = {
    /* name           version sections       inputs  files                run                    settle */
    {"requirements",  1,      "requirements", "",    NULL,                us_stage_requirements, NULL},
    {"data",          1,      "data",         "",    us_stage_data_files, us_stage_data,         NULL},
};
/* clang-format on */
const size_t us_n_stages = US_LEN(us_stages);
