/* cli/diff_page.h - what `usta diff` found, for people and for programs. */
#ifndef USTA_CLI_DIFF_PAGE_H
#define USTA_CLI_DIFF_PAGE_H

#include "cli/cli.h"
#include "inspect/diff.h"

typedef struct us_diff_page {
    const char *a, *b; /* the files */
    bool identical;    /* byte for byte */
    bool all;          /* every line, not the first of each kind */
    bool weights_only, structure_only, cost;
} us_diff_page;

us_err us_diff_print(us_cli *cli, const us_diff *d, const us_diff_page *p) US_MUST;
us_err us_diff_json(us_cli *cli, const us_diff *d, const us_diff_page *p) US_MUST;

#endif
