/* cli/passport_page.h - a passport on one page. */
#ifndef USTA_CLI_PASSPORT_PAGE_H
#define USTA_CLI_PASSPORT_PAGE_H

#include "cli/cli.h"

/* p: the passport's JSON, whatever it holds; what is missing is left out. */
us_err us_cli_print_passport(us_cli *cli, const json_t *p) US_MUST;

#endif
