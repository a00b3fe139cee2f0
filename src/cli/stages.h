/* cli/stages.h - printing what the lifecycle did or would do; for the commands run and status. */
#ifndef USTA_CLI_STAGES_H
#define USTA_CLI_STAGES_H

#include "cli/cli.h"
#include "flow/flow.h"

/* The table of stages, then tables of evidence that stages left in their facts. wall_ns < 0: nothing was to be run. */
us_err us_stages_table(us_cli *cli, const us_flow_result *r, int64_t wall_ns) US_MUST;
us_err us_stages_json(us_cli *cli, const us_flow_result *r, us_err e,
                      const char *error) US_MUST;
/* One row of the gate: what, required, found, passed, evidence. */
void us_gate_row_cells(us_rtable *t, const json_t *row);

#endif
