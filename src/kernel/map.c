/* kernel/map.c - map programs as data: written down, given registers, read back from numbers.
 *
 * The writer keeps values in the order of writing, each made once, so a program is in order by construction. us_ew_end walks it
 * backwards to see what is used and for how long, then forwards, giving each value the lowest free register; a register is free
 * again in the instruction that reads it last (kernels allow the result in an operand's place).
 */
#include "kernel/map.h"

#include <math.h>
#include <string.h>

#include "base/ctx.h"

const uint8_t us_ew_operands[US_EW_N] = {
#define X(code, n, ulp) (n),
    US_EW_CODES(X)
#undef X
};

const char *us_ew_code_name(us_ew_code code)
{
    static const char *const names[US_EW_N] = {
#define X(code, n, ulp) #code,
        US_EW_CODES(X)
#undef X
    };
    return code < US_EW_N ? names[code] : "?";
}

void us_ew_begin(us_ew_writer *w, size_t n_in)
{
    memset(w, 0, sizeof *w);
    w->full = n_in > US_EW_IN;
    w->n_in = (uint8_t)(w->full ? 0 : n_in);
}

/* Equal bits are one immediate, so -0 and 0 are two. */
int us_ew_imm(us_ew_writer *w, float value)
{
    for (int i = 0; i < w->n_imm; i++)
        if (memcmp(&w->imm[i], &value, sizeof value) == 0) return -1 - i;
    if (w->n_imm == US_EW_IMM) {
        w->full = true;
        return 0;
    }
    w->imm[w->n_imm++] = value;
    return -w->n_imm;
}

static bool value_exists(const us_ew_writer *w, int v)
{
    return v < 0 ? -v <= w->n_imm : v < w->n_in + w->n_ins;
}

int us_ew_emit(us_ew_writer *w, us_ew_code code, int a, int b, int c)
{
    const int arg[3] = {a, b, c};
    bool ok = w->n_ins < US_EW_INS && code < US_EW_N;
    for (size_t k = 0; ok && k < us_ew_operands[code]; k++)
        ok = value_exists(w, arg[k]);
    if (!ok) {
        w->full = true;
        return 0;
    }
    w->ins[w->n_ins].code = (uint8_t)code;
    for (size_t k = 0; k < us_ew_operands[code]; k++)
        w->ins[w->n_ins].arg[k] = (int16_t)arg[k];
    return w->n_in + w->n_ins++;
}

/* --- registers ------------------------------------------------------------------------------------ */

/* last[i]: the instruction that reads value n_in + i last; -1: none. The program's result is read by nobody but kept. */
static void find_last(const us_ew_writer *w, int *last)
{
    for (int i = 0; i < w->n_ins; i++)
        last[i] = -1;
    for (int i = w->n_ins - 1; i >= 0; i--) {
        if (i != w->n_ins - 1 && last[i] < 0) continue;
        for (size_t k = 0; k < us_ew_operands[w->ins[i].code]; k++) {
            int v = w->ins[i].arg[k] - w->n_in;
            if (v >= 0 && last[v] < 0) last[v] = i;
        }
    }
}

/* --- known functions written out ------------------------------------------------------------------- */

/* The instruction that makes value v, when it has this code; -1. */
static int made_by(const us_ew_writer *w, int v, us_ew_code code)
{
    int i = v - w->n_in;
    return v >= w->n_in && w->ins[i].code == code ? i : -1;
}

static bool is_imm(const us_ew_writer *w, int v, float want)
{
    return v < 0 && fabsf(w->imm[-1 - v] - want) <= 1e-6F * fabsf(want);
}

/* Is v clamp(low(x), 0, top)? Then low, else -1. */
static int clamped(const us_ew_writer *w, int v, us_ew_code low, float top)
{
    int i = made_by(w, v, US_EW_CLAMP);
    if (i < 0 || !is_imm(w, w->ins[i].arg[1], 0) || !is_imm(w, w->ins[i].arg[2], top))
        return -1;
    return made_by(w, w->ins[i].arg[0], low);
}

/* Is it x * clamp(x + 3, 0, 6), with one factor x? The other way round is the caller's. */
static bool is_six_times(const us_ew_writer *w, int x, int v)
{
    int i = clamped(w, v, US_EW_ADD, 6);
    if (i < 0) return false;
    const int16_t *a = w->ins[i].arg;
    return (a[0] == x && is_imm(w, a[1], 3)) || (a[1] == x && is_imm(w, a[0], 3));
}

static bool is_hard_sigmoid(const us_ew_writer *w, int x, int v)
{
    int i = clamped(w, v, US_EW_FMA, 1);
    if (i < 0) return false;
    const int16_t *a = w->ins[i].arg;
    return ((a[0] == x && is_imm(w, a[1], 1.0F / 6)) ||
            (a[1] == x && is_imm(w, a[0], 1.0F / 6))) &&
           is_imm(w, a[2], 0.5F);
}

/* x * sigmoid(x) and the ways in which HardSwish is written become one instruction; what that leaves unread goes. */
static void join_known(us_ew_writer *w)
{
    for (int i = 0; i < w->n_ins; i++) {
        int16_t *a = w->ins[i].arg;
        bool mul = w->ins[i].code == US_EW_MUL;
        for (int k = 0; k < 2 && (mul || w->ins[i].code == US_EW_DIV); k++) {
            int x = a[k], v = a[1 - k], s = made_by(w, v, US_EW_SIGMOID),
                m = made_by(w, x, US_EW_MUL);
            bool sixth = m >= 0 && (mul ? is_imm(w, v, 1.0F / 6) : k == 0 && is_imm(w, v, 6));
            us_ew_code code = US_EW_N;
            if (mul && s >= 0 && w->ins[s].arg[0] == x) code = US_EW_SILU;
            if (mul && is_hard_sigmoid(w, x, v)) code = US_EW_HARDSWISH;
            for (int j = 0; j < 2 && sixth; j++) {
                const int16_t *f = w->ins[m].arg;
                if (!is_six_times(w, f[j], f[1 - j])) continue;
                code = US_EW_HARDSWISH;
                x = f[j];
                break;
            }
            if (code == US_EW_N) continue;
            w->ins[i].code = (uint8_t)code;
            a[0] = (int16_t)x;
            break;
        }
    }
}

bool us_ew_end(const us_ew_writer *as_written, us_ew_prog *out)
{
    if (as_written->full || as_written->n_in == 0 || as_written->n_ins == 0) return false;
    us_ew_writer joined = *as_written;
    const us_ew_writer *w = &joined;
    join_known(&joined);
    us_ew_prog m = {.n_in = w->n_in, .n_imm = w->n_imm};
    memcpy(m.imm, w->imm, sizeof m.imm);
    int last[US_EW_INS], reg_of[US_EW_INS];
    find_last(w, last);
    bool busy[US_EW_REGS] = {false};
    int base = w->n_in + w->n_imm;
    for (int i = 0; i < w->n_ins; i++) {
        if (i != w->n_ins - 1 && last[i] < 0) continue;
        us_ew_ins *to = &m.ins[m.n_ins++];
        to->code = w->ins[i].code;
        for (size_t k = 0; k < us_ew_operands[to->code]; k++) {
            int v = w->ins[i].arg[k];
            to->arg[k] = (uint8_t)(v < 0         ? w->n_in - 1 - v
                                   : v < w->n_in ? v
                                                 : base + reg_of[v - w->n_in]);
            if (v >= w->n_in && last[v - w->n_in] == i) busy[reg_of[v - w->n_in]] = false;
        }
        int r = 0;
        while (r < US_EW_REGS && busy[r])
            r++;
        if (r == US_EW_REGS) return false;
        busy[r] = true;
        reg_of[i] = r;
        to->to = (uint8_t)(base + r);
        if (i != w->n_ins - 1) m.n_regs = (uint8_t)US_MAX(m.n_regs, r + 1);
    }
    *out = m;
    return true;
}

/* --- as numbers ----------------------------------------------------------------------------------- */

size_t us_ew_put(const us_ew_writer *w, int64_t *ints)
{
    for (int i = 0; i < w->n_ins; i++) {
        ints[4 * i] = w->ins[i].code;
        for (int k = 0; k < 3; k++)
            ints[4 * i + 1 + k] = w->ins[i].arg[k];
    }
    return 4 * (size_t)w->n_ins;
}

bool us_ew_read(size_t n_in, size_t n_ints, const int64_t *ints, size_t n_imm, const float *imm,
                us_ew_prog *out)
{
    us_ew_writer w;
    us_ew_begin(&w, n_in);
    if (n_imm > US_EW_IMM || n_ints % 4 != 0 || n_ints > 4 * US_EW_INS) return false;
    w.n_imm = (uint8_t)n_imm;
    memcpy(w.imm, imm, n_imm * sizeof *imm);
    for (size_t i = 0; i < n_ints; i += 4) {
        const int64_t *p = ints + i;
        for (int k = 1; k < 4; k++)
            if (p[k] < -US_EW_IMM || p[k] >= US_EW_IN + US_EW_INS) return false;
        if (p[0] < 0 || p[0] >= US_EW_N) return false;
        us_ew_emit(&w, (us_ew_code)p[0], (int)p[1], (int)p[2], (int)p[3]);
    }
    return us_ew_end(&w, out);
}
