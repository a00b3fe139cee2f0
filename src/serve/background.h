/* serve/background.h - the server as a process of its own: started in the background, found again, stopped.
 *
 * The program starts itself anew (`usta serve` with a pipe to report readiness), so nothing of the caller's state,
 * threads or database handles is shared. The deployment record in the workspace holds process and address.
 */
#ifndef USTA_SERVE_BACKGROUND_H
#define USTA_SERVE_BACKGROUND_H

#include "store/store.h"

#define US_SPAWN_TIMEOUT_S 20

typedef struct us_spawned {
    int64_t pid;
    const char *endpoint; /* "http://127.0.0.1:8080", in the arena */
} us_spawned;

/* project: the project's folder. flags: further arguments of `usta serve`, NULL-terminated, or NULL. Returns when the server
 * answers, or with its own words when it could not start. Its messages go to <workspace>/served/server.log. */
us_err us_serve_spawn(us_ctx *c, us_arena *a, const char *project, const char *workspace,
                      const char *const *flags, us_spawned *out) US_MUST;
/* In the child: tell the parent. fd < 0: nobody waits. */
void us_serve_tell_ready(int fd, const char *endpoint);

/* Ends a server process: SIGTERM, then waits until it is gone. US_NOTFOUND: it was not running. */
us_err us_serve_kill(us_ctx *c, int64_t pid) US_MUST;
bool us_serve_alive(int64_t pid);

#endif
