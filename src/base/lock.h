/* base/lock.h - a lock for the few things that threads share and change: not for anything on the way of a run. */
#ifndef USTA_BASE_LOCK_H
#define USTA_BASE_LOCK_H

#include <pthread.h>

typedef struct us_lock {
    pthread_mutex_t m;
} us_lock;

static inline void us_lock_init(us_lock *l)
{
    (void)pthread_mutex_init(&l->m, NULL);
}
static inline void us_lock_deinit(us_lock *l)
{
    (void)pthread_mutex_destroy(&l->m);
}
static inline void us_lock_take(us_lock *l)
{
    (void)pthread_mutex_lock(&l->m);
}
static inline void us_lock_give(us_lock *l)
{
    (void)pthread_mutex_unlock(&l->m);
}

#endif
