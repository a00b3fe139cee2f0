/* base/clock.h - time and process figures. Nothing that goes into a model or a hash may come from here. */
#ifndef USTA_BASE_CLOCK_H
#define USTA_BASE_CLOCK_H

#include "base/err.h"

uint64_t us_now_ns(void);    /* monotonic */
int64_t us_wall_us(void);    /* microseconds since 1970-01-01 UTC */
uint64_t us_cpu_ns(void);    /* processor time of this process */
uint64_t us_rss_bytes(void); /* resident now; 0 when unknown */
uint64_t us_rss_peak_bytes(void);
int us_cpu_count(void); /* processors this process may use, at least 1 */
/* "2026-11-21T08:00:00Z" from wall microseconds; returns out. */
const char *us_print_time(int64_t wall_us, char out[32]);

/* Civil calendar <-> microseconds since 1970 UTC (proleptic Gregorian, no leap seconds). month 1..12. */
int64_t us_civil_to_us(int64_t year, int month, int day, int hour, int minute, int second,
                       int micro);
void us_us_to_civil(int64_t us, int64_t *year, int *month, int *day, int *hour, int *minute,
                    int *second, int *micro);

#endif
