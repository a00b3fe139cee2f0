/* cli/out.c - the one door to stdout.
 *
 * Text is collected and written with write(2) in large pieces; the first failure is kept, so that a full disk or a closed
 * pipe is found at the end although nobody looked at each call.
 */
#include "cli/out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OUT_PIECE ((size_t)64 << 10)
#define OUT_MAX   ((size_t)1 << 30) /* of one piece of text */

us_err us_out_new(us_ctx *c, us_arena *a, us_out **out)
{
    us_out *o = us_new(a, us_out);
    if (!o) return us_arena_fail(c, a);
    us_buf_init(&o->buf, c, OUT_MAX);
    o->c = c;
    o->fd = STDOUT_FILENO;
    *out = o;
    return US_OK;
}

void us_out_free(us_out *o)
{
    us_buf_deinit(&o->buf);
}

static void write_all(us_out *o)
{
    const char *p = o->buf.p;
    size_t n = o->buf.n;
    while (n && !o->failed) {
        ssize_t k = write(o->fd, p, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            o->failed = errno ? errno : EIO;
            break;
        }
        p += k;
        n -= (size_t)k;
    }
    us_buf_clear(&o->buf);
}

us_err us_out_finish(us_out *o)
{
    US_TRY(us_buf_check(&o->buf));
    write_all(o);
    if (o->failed)
        return us_fail(o->c, US_IO, "could not write to standard output: %s",
                       strerror(o->failed));
    return US_OK;
}

static void maybe_write(us_out *o)
{
    if (o->buf.n >= OUT_PIECE && o->buf.err == US_OK) write_all(o);
}

void us_out_bytes(us_out *o, const void *p, size_t n)
{
    us_buf_add(&o->buf, p, n);
    maybe_write(o);
}

void us_out_text(us_out *o, const char *z)
{
    us_out_bytes(o, z, strlen(z));
}

void us_outf(us_out *o, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    us_buf_addfv(&o->buf, fmt, ap);
    va_end(ap);
    maybe_write(o);
}

us_err us_out_flush(us_cli *cli)
{
    return us_out_finish(cli->out);
}

us_err us_out_table(us_cli *cli, const us_rtable *t)
{
    bool tty = us_tty(cli->out->fd);
    us_rtable_opts opts = {tty, tty ? us_tty_width(cli->out->fd) : 0};
    US_TRY(us_rtable_print(cli->c, t, &opts, &cli->out->buf));
    maybe_write(cli->out);
    return US_OK;
}

us_err us_out_json(us_cli *cli, const json_t *j)
{
    us_buf *b = &cli->out->buf;
    if (us_tty(cli->out->fd))
        US_TRY(us_json_print_pretty(cli->c, j, b));
    else
        US_TRY(us_json_print(cli->c, j, b));
    us_buf_addc(b, '\n');
    maybe_write(cli->out);
    return US_OK;
}

void us_say(us_cli *cli, const char *fmt, ...)
{
    us_buf b;
    us_buf_init(&b, cli->c, (size_t)1 << 20);
    va_list ap;
    va_start(ap, fmt);
    us_buf_addfv(&b, fmt, ap);
    va_end(ap);
    for (size_t done = 0; done < b.n;) {
        ssize_t k = write(STDERR_FILENO, b.p + done, b.n - done);
        if (k <= 0) break;
        done += (size_t)k;
    }
    us_buf_deinit(&b);
}
