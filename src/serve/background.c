/* serve/background.c - see background.h. */
#define _GNU_SOURCE /* pipe2 */
#include "serve/background.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define READY_FD  3
#define MAX_FLAGS 32

extern char **environ;

/* Is the process a `usta` at all? A pid from an old record may belong to somebody else by now. The
 * link's target tells, also when the program has been replaced since ("usta (deleted)"). */
static bool is_usta(int64_t pid)
{
    char path[64], target[4096];
    (void)snprintf(path, sizeof path, "/proc/%lld/exe", (long long)pid);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 0) return false;
    target[n] = 0;
    const char *slash = strrchr(target, '/');
    return slash && !strncmp(slash + 1, "usta", 4);
}

bool us_serve_alive(int64_t pid)
{
    return pid > 1 && kill((pid_t)pid, 0) == 0 && is_usta(pid);
}

us_err us_serve_kill(us_ctx *c, int64_t pid)
{
    if (!us_serve_alive(pid))
        return us_fail(c, US_NOTFOUND, "process %lld is no running server", (long long)pid);
    if (kill((pid_t)pid, SIGTERM))
        return us_fail(c, US_IO, "cannot stop process %lld: %s", (long long)pid,
                       strerror(errno));
    uint64_t until = us_now_ns() + (uint64_t)US_SPAWN_TIMEOUT_S * 1000000000u;
    while (us_now_ns() < until) {
        (void)waitpid((pid_t)pid, NULL, WNOHANG); /* ours, when we started it in this run */
        if (!us_serve_alive(pid)) return US_OK;
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return us_fail(c, US_IO, "process %lld did not end within %d s", (long long)pid,
                   US_SPAWN_TIMEOUT_S);
}

void us_serve_tell_ready(int fd, const char *endpoint)
{
    if (fd < 0) return;
    char line[256];
    int n = snprintf(line, sizeof line, "ready %s\n", endpoint);
    ssize_t k = write(fd, line, (size_t)n);
    (void)k; /* a parent that is gone needs no answer */
    (void)close(fd);
}

/* What the child says on the pipe until it closes it or the time is up. */
static size_t listen_pipe(int fd, char *text, size_t cap)
{
    size_t n = 0;
    uint64_t until = us_now_ns() + (uint64_t)US_SPAWN_TIMEOUT_S * 1000000000u;
    while (n + 1 < cap && us_now_ns() < until) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 200) <= 0) continue;
        ssize_t k = read(fd, text + n, cap - 1 - n);
        if (k <= 0) break;
        n += (size_t)k;
        if (memchr(text, '\n', n)) break;
    }
    text[n] = 0;
    return n;
}

static us_err start_process(us_ctx *c, const char *const *argv, const char *log, int ready,
                            pid_t *pid)
{
    posix_spawn_file_actions_t act;
    posix_spawnattr_t attr;
    (void)posix_spawn_file_actions_init(&act);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_adddup2(&act, ready, READY_FD);
    (void)posix_spawn_file_actions_addopen(&act, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&act, STDOUT_FILENO, log,
                                           O_WRONLY | O_CREAT | O_APPEND, 0666);
    (void)posix_spawn_file_actions_adddup2(&act, STDOUT_FILENO, STDERR_FILENO);
    (void)posix_spawnattr_setpgroup(&attr,
                                    0); /* Ctrl-C in the terminal is not for the server */
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    int e = posix_spawn(pid, "/proc/self/exe", &act, &attr, (char *const *)(uintptr_t)argv,
                        environ);
    (void)posix_spawn_file_actions_destroy(&act);
    (void)posix_spawnattr_destroy(&attr);
    return e ? us_fail(c, US_IO, "cannot start the server: %s", strerror(e)) : US_OK;
}

/* The end of the log says why it failed. */
static us_err failed_start(us_ctx *c, const char *log)
{
    char tail[400] = "";
    us_buf b;
    us_buf_init(&b, c, (size_t)64 << 20);
    if (us_file_read(c, log, &b) == US_OK && b.n) {
        us_sv s = us_sv_trim(us_buf_sv(&b));
        size_t at = s.n;
        while (at && s.p[at - 1] != '\n')
            at--;
        (void)snprintf(tail, sizeof tail, "%.*s", (int)US_MIN(s.n - at, (size_t)390), s.p + at);
    }
    us_buf_deinit(&b);
    return us_fail(c, US_IO, "the server did not start: %s (all of it in %s)",
                   tail[0] ? tail : "no words from it", log);
}

static us_err wait_ready(us_ctx *c, us_arena *a, int fd, const char *log, pid_t pid,
                         us_spawned *out)
{
    char text[256];
    size_t n = listen_pipe(fd, text, sizeof text);
    us_sv line = us_sv_trim((us_sv){text, n});
    if (!us_sv_starts(line, "ready ")) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return failed_start(c, log);
    }
    char *endpoint = us_str_dup(a, (us_sv){line.p + 6, line.n - 6});
    if (!endpoint) return us_arena_fail(c, a);
    *out = (us_spawned){.pid = pid, .endpoint = endpoint};
    return US_OK;
}

us_err us_serve_spawn(us_ctx *c, us_arena *a, const char *project, const char *workspace,
                      const char *const *flags, us_spawned *out)
{
    const char *argv[MAX_FLAGS + 8] = {"usta",  "serve",      "--project",
                                       project, "--ready-fd", "3"};
    size_t n = 6;
    for (size_t i = 0; flags && flags[i] && i < MAX_FLAGS; i++)
        argv[n++] = flags[i];
    char *dir = us_path_join(a, workspace, "served");
    char *log = dir ? us_path_join(a, dir, "server.log") : NULL;
    if (!log) return us_arena_fail(c, a);
    US_TRY(us_mkdirs(c, dir));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return us_fail(c, US_IO, "cannot make a pipe: %s", strerror(errno));
    pid_t pid = 0;
    us_err e = start_process(c, argv, log, ends[1], &pid);
    (void)close(ends[1]);
    if (e == US_OK) e = wait_ready(c, a, ends[0], log, pid, out);
    (void)close(ends[0]);
    return e;
}
