/* flow/stages.c - the table of stages: the lifecycle, readable at one glance. An input that begins with '?' is taken when some
 * earlier stage made it. */
#include "flow/stage.h"

/* clang-format off */
const us_stage us_stages[] = {
    {"requirements", 1, "requirements", "",
     NULL, us_stage_requirements, NULL},
    {"data", 1, "data", "",
     us_stage_data_files, us_stage_data, NULL},
    {"features", 1, "features", "snapshot schema split",
     NULL, us_stage_features, NULL},
    {"train", 1, "model train", "features feature_names inputs snapshot split",
     NULL, us_stage_train, NULL},
    {"package", 1, "package", "trained ?baseline_majority ?baseline_mean ?baseline_linear expected run feature_names inputs snapshot split",
     NULL, us_stage_package, us_settle_package},
    {"validate", 1, "requirements validate", "model ?packaged_majority ?packaged_mean ?packaged_linear inputs snapshot split",
     NULL, us_stage_validate, NULL},
    {"deploy", 1, "deploy", "model validation",
     NULL, us_stage_deploy, us_settle_deploy},
    {"monitor", 1, "monitor", "model",
     us_stage_monitor_files, us_stage_monitor, NULL},
};
/* clang-format on */
const size_t us_n_stages = US_LEN(us_stages);
