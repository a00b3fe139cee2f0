/* usta/env.h - the environment: memory, threads, messages and the wish to stop, for everything made in it.
 *
 *     usta_env_settings s;
 *     usta_env *env;
 *     usta_env_defaults(&s);
 *     s.n_threads = 4;
 *     if (usta_env_new(&s, &env) != USTA_OK) ...
 *     ... models, sessions ...
 *     usta_env_free(env);
 *
 * Threading: an environment belongs to one thread at a time, and so do calls that open models or make sessions in it. Sessions
 * then run in other threads: each keeps an error text of its own. The caller's functions (memory, log, cancelled, parallel) are
 * called from every thread that works on something of this environment.
 *
 * Not here: a global state. Two environments know nothing of each other unless threads_of joins their helpers.
 */
#ifndef USTA_ENV_H
#define USTA_ENV_H

#include "usta/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- what the caller may lend ------------------------------------------------------------------- */

/* The caller's memory; one function for all of it.
 *
 * user       as in the settings.
 * p          NULL: allocate. Otherwise a block from this function.
 * old_bytes  size of that block; 0 when p is NULL.
 * now_bytes  0: free p and return NULL. Otherwise the size wanted; the contents stay up to the smaller of both sizes.
 *
 * Returns    memory aligned as malloc's, or NULL when there is none; p then stays valid. Must be thread-safe when threads are used.
 *            The heap of the C library would be: if (!now_bytes) return free(p), NULL; return realloc(p, now_bytes);
 * Since:     0.1 */
typedef void *usta_realloc_fn(void *user, void *p, size_t old_bytes, size_t now_bytes);

/* The caller's threads. Must call fn(arg, i) once for every i < n_chunks, in any order and from any threads, and return when all
 * are done. What the chunks are does not depend on the number of threads, so neither do results.
 * Since:     0.1 */
typedef void usta_chunk_fn(void *arg, size_t i);
typedef void usta_parallel_fn(void *user, size_t n_chunks, usta_chunk_fn *fn, void *arg);

/* Levels of messages.
 * Since:     0.1 */
#define USTA_LOG_DEFAULT                                                                       \
    (-1) /* as the variable USTA_LOG says (debug, info, warn, error, none), else WARN */
#define USTA_LOG_DEBUG 0 /* also what USTA_TRACE asks for */
#define USTA_LOG_INFO  1 /* models opened, sessions planned */
#define USTA_LOG_WARN  2
#define USTA_LOG_ERROR 3
#define USTA_LOG_NONE  4

/* Takes a message: one line, without a newline, valid during the call.
 * Since:     0.1 */
typedef void usta_log_fn(void *user, int32_t level, const char *text);

/* Whether to stop: not 0 ends what is going on with USTA_CANCELLED. Asked before every operator of a run, so it should be quick.
 * Since:     0.1 */
typedef int usta_cancelled_fn(void *user);

/* --- environment -------------------------------------------------------------------------------- */

/* Opaque.
 * Since:     0.1 */
typedef struct usta_env usta_env;

/* Settings of an environment; usta_env_defaults fills them.
 * Since:     0.1 */
typedef struct usta_env_settings {
    size_t struct_size;
    /* Threads that work on one run, the caller's counted: 1 to 256; 0: one per processor; default 1. */
    int32_t n_threads;
    int32_t log_level;       /* the lowest that is told; default USTA_LOG_DEFAULT */
    usta_log_fn *log;        /* NULL: to stderr */
    usta_realloc_fn *memory; /* NULL: the C library's heap. Files over 256 KiB are mapped */
    /* NULL: a pool of our own. Otherwise n_threads says how many threads it has. */
    usta_parallel_fn *parallel;
    /* Not NULL: use the threads of that environment, which must outlive this one; n_threads and parallel are not looked at. */
    usta_env *threads_of;
    usta_cancelled_fn *cancelled; /* NULL: never */
    void *log_user;               /* these four: the first arguments of the functions above */
    void *memory_user;
    void *parallel_user;
    void *cancelled_user;
} usta_env_settings;

/* Fills *s, struct_size included; NULL is fine.
 * Since:     0.1 */
USTA_API void usta_env_defaults(usta_env_settings *s);

/* Makes an environment. When that fails there is none yet that could keep a text.
 *
 * s        borrowed for the call; NULL: the defaults.
 * out      the environment; the caller frees it with usta_env_free, after everything made in it.
 *
 * Errors:  USTA_ARG    out is NULL, s was not filled by usta_env_defaults, n_threads is not in 0..256
 *          USTA_NOMEM  USTA_IO  a thread could not be started
 * Since:   0.1 */
USTA_API usta_err usta_env_new(const usta_env_settings *s, usta_env **out) USTA_MUST;

/* Ends the threads and gives back all memory. Models and sessions of env must be gone. NULL is fine.
 * Since:   0.1 */
USTA_API void usta_env_free(usta_env *env);

/* One sentence about the last failure of a call on this environment or on a model opened in it: what was found, what was expected
 * and where; "" when there was none, or env is NULL. Valid until the next such call.
 * Since:   0.1 */
USTA_API const char *usta_env_error(const usta_env *env);

#ifdef __cplusplus
}
#endif

#endif
