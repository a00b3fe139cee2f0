/* capi/env.c - environments: a context, the caller's functions behind it, perhaps a pool. */
#include "capi/capi.h"

#include "base/pool.h"
#include "kernel/kernels.h"

_Static_assert(USTA_LOG_DEBUG == (int)US_LOG_DEBUG && USTA_LOG_NONE == (int)US_LOG_NONE,
               "one list of levels");

void usta_env_defaults(usta_env_settings *s)
{
    if (s)
        *s = (usta_env_settings){
            .struct_size = sizeof *s, .n_threads = 1, .log_level = USTA_LOG_DEFAULT};
}

/* --- the caller's functions, as the engine calls them ---------------------------------------------------- */

static void tell(void *ud, us_log_level level, const char *text)
{
    const usta_env *env = ud;
    env->set.log(env->set.log_user, (int32_t)level, text);
}

static bool cancelled(void *ud)
{
    const usta_env *env = ud;
    return env->set.cancelled(env->set.cancelled_user) != 0;
}

static us_alloc allocator(const usta_env_settings *s)
{
    if (!s->memory) return us_alloc_heap();
    return (us_alloc){s->memory, s->memory_user};
}

static void settle_log(usta_env *env)
{
    us_log *log = &env->c.log;
    if (env->set.log_level >= USTA_LOG_DEBUG && env->set.log_level <= USTA_LOG_NONE)
        log->level = (us_log_level)env->set.log_level;
    if (!env->set.log) return;
    log->tell = tell;
    log->ud = env;
}

/* --- life --------------------------------------------------------------------------------------------------- */

static us_err make_pool(usta_env *env)
{
    const usta_env_settings *s = &env->set;
    if (s->threads_of) {
        env->c.pool = s->threads_of->c.pool;
        return US_OK;
    }
    us_err e = s->parallel ? us_pool_new_lent(&env->c, s->n_threads, s->parallel,
                                              s->parallel_user, &env->own_pool)
                           : us_pool_new(&env->c, s->n_threads, &env->own_pool);
    env->c.pool = env->own_pool;
    return e;
}

usta_err usta_env_new(const usta_env_settings *s, usta_env **out)
{
    usta_env_settings own;
    usta_env_defaults(&own);
    if (!out || (s && s->struct_size <= sizeof(size_t))) return USTA_ARG;
    if (s) memcpy(&own, s, US_MIN(s->struct_size, sizeof own));
    us_alloc alloc = allocator(&own);
    usta_env *env = us_mem_get(&alloc, 1, sizeof *env);
    if (!env) return USTA_NOMEM;
    env->set = own;
    us_ctx_init(&env->c);
    env->c.alloc = alloc;
    settle_log(env);
    if (own.cancelled) {
        env->c.cancelled = cancelled;
        env->c.cancel_ud = env;
    }
    us_err e = make_pool(env);
    if (e != US_OK) {
        us_mem_put(&alloc, env, 1, sizeof *env);
        return (usta_err)e;
    }
    (void)us_kernels_get(&env->c);
    env->c.diag = (us_diag){0};
    *out = env;
    return USTA_OK;
}

void usta_env_free(usta_env *env)
{
    if (!env) return;
    us_alloc alloc = env->c.alloc;
    us_pool_free(env->own_pool);
    us_ctx_deinit(&env->c);
    us_mem_put(&alloc, env, 1, sizeof *env);
}

const char *usta_env_error(const usta_env *env)
{
    return env ? env->c.diag.text : "";
}
