/* replay.c - runs a fuzz target on its seeds, as an ordinary test, without clang.
 *
 * `replay_NAME NAME DIR` calls LLVMFuzzerTestOneInput on the empty input, on every file of DIR and on
 * every prefix-cut and a few bit-flips of it (cheap mutations with a fixed pattern, so a failure is
 * reproducible). A crash of the target is the crash of this program: the last "# seed" line names the
 * input. One TAP case: the target survived.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEEDS_MAX_BYTES (100 * 1000) /* of one target in all: they live in the repository */
#define N_CUTS          16
#define N_FLIPS         64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer's own byte mutation, for targets with a mutator of their own; here a fixed bit flips. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    if (size && size <= max_size) data[size / 2] ^= 1;
    return size;
}

/* Each input lies in its own exact allocation, so that sanitizers see a read past the end. */
static void run_one(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) exit(1);
    if (n) memcpy(copy, p, n);
    (void)LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void run_seed(uint8_t *p, size_t n)
{
    run_one(p, n);
    for (size_t i = 0; i < N_CUTS && n; i++)
        run_one(p, n * i / N_CUTS);
    for (size_t i = 0; i < N_FLIPS && n; i++) {
        size_t at = (i * 2654435761u + i * i) % n;
        uint8_t was = p[at];
        p[at] = (uint8_t)(was ^ (1u << (i % 8)));
        run_one(p, n);
        p[at] = was;
    }
}

static uint8_t *read_seed(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    uint8_t *p = malloc(SEEDS_MAX_BYTES + 1);
    *n = p ? fread(p, 1, SEEDS_MAX_BYTES + 1, f) : 0;
    fclose(f);
    return p;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dotted(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s NAME SEED_DIR\n", argv[0]);
        return 2;
    }
    struct dirent **names = NULL;
    int n_seeds = scandir(argv[2], &names, not_dotted, by_name);
    size_t total = 0;
    bool ok = n_seeds > 0;
    printf("1..1\n");
    if (!ok) printf("# no seeds in %s: add at least one good and one bad input\n", argv[2]);
    run_one((const uint8_t *)"", 0);
    for (int i = 0; i < n_seeds; i++) {
        char path[4096];
        size_t n = 0;
        int len = snprintf(path, sizeof path, "%s/%s", argv[2], names[i]->d_name);
        uint8_t *p = len > 0 && (size_t)len < sizeof path ? read_seed(path, &n) : NULL;
        printf("# seed %s\n", names[i]->d_name);
        fflush(stdout);
        if (!p || (total += n) > SEEDS_MAX_BYTES) {
            printf("# %s: unreadable, or the seeds are over %d bytes in all\n", path,
                   SEEDS_MAX_BYTES);
            ok = false;
        } else {
            run_seed(p, n);
        }
        free(p);
        free(names[i]);
    }
    free(names);
    printf("%s 1 - fuzz %s: %d seeds and their mutations\n", ok ? "ok" : "not ok", argv[1],
           n_seeds > 0 ? n_seeds : 0);
    return ok ? 0 : 1;
}
