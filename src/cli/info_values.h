/* cli/info_values.h - the values of a model and their inferred types, as JSON and as a table. */
#ifndef USTA_CLI_INFO_VALUES_H
#define USTA_CLI_INFO_VALUES_H

#include "cli/cli.h"
#include "inspect/values.h"

/* The members "values" and, when types are those of the file, "not_inferred" of the object `all`. */
us_err us_cli_values_json(us_cli *cli, const us_values *v, json_t *all) US_MUST;
us_err us_cli_print_values(us_cli *cli, const us_values *v) US_MUST;

#endif
