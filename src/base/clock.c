/* base/clock.c - clocks, process figures, the civil calendar.
 * Calendar: days from civil by eras of 400 years (H. Hinnant, "chrono-compatible low-level date algorithms"). */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/clock.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t us_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t us_wall_us(void)
{
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000);
}

uint64_t us_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t us_rss_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long size, resident = 0;
    if (!f) return 0;
    if (fscanf(f, "%lu %lu", &size, &resident) != 2) resident = 0;
    (void)fclose(f);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t us_rss_peak_bytes(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) ? 0 : (uint64_t)u.ru_maxrss * 1024;
}

int us_cpu_count(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) n = CPU_COUNT(&set);
#endif
    return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

int64_t us_civil_to_us(int64_t year, int month, int day, int hour, int minute, int second,
                       int micro)
{
    int64_t s = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return s * 1000000 + micro;
}

void us_us_to_civil(int64_t us, int64_t *year, int *month, int *day, int *hour, int *minute,
                    int *second, int *micro)
{
    int64_t s = us / 1000000, sub = us % 1000000;
    if (sub < 0) {
        sub += 1000000;
        s--;
    }
    int64_t days = s / 86400, sec = s % 86400;
    if (sec < 0) {
        sec += 86400;
        days--;
    }
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
    *hour = (int)(sec / 3600);
    *minute = (int)(sec / 60 % 60);
    *second = (int)(sec % 60);
    *micro = (int)sub;
}

const char *us_print_time(int64_t wall_us, char out[32])
{
    int64_t y;
    int mo, d, h, mi, s, us;
    us_us_to_civil(wall_us, &y, &mo, &d, &h, &mi, &s, &us);
    (void)snprintf(out, 32, "%04lld-%02d-%02dT%02d:%02d:%02dZ", (long long)(y % 100000), mo, d,
                   h, mi, s);
    return out;
}
