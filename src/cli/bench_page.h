/* cli/bench_page.h - what `usta bench` prints: a table for people, JSON for programs. */
#ifndef USTA_CLI_BENCH_PAGE_H
#define USTA_CLI_BENCH_PAGE_H

#include "cli/cli.h"
#include "inspect/load.h"

typedef struct us_bench_facts {
    const char *file, *hash; /* BLAKE2b-256 of the file */
    const char *processor, *level;
    int processors, threads;
    uint64_t seed;
    size_t n_samples;
    double seconds, limit_seconds;
    double load_ns, first_ns; /* from the file to a session; of the first run */
    uint64_t rss_bytes;       /* resident after that */
} us_bench_facts;

us_err us_bench_json(us_cli *cli, const us_bench_facts *f, const us_load_result *r,
                     size_t n) US_MUST;
us_err us_bench_table(us_cli *cli, const us_bench_facts *f, const us_load_result *r,
                      size_t n) US_MUST;

#endif
