/* ir/regex.c - see regex.h. A pattern becomes a non-deterministic automaton whose states are followed all at once.
 *
 * Source of the method: K. Thompson, "Regular Expression Search Algorithm", 1968. The parser writes states straight
 * into an array; a repeated piece is parsed again from its text for each copy, so counted repeats need no tree.
 */
#include "ir/regex.h"

#include <string.h>

#include "ir/letters.h"

enum { MAX_DEPTH = 64, MAX_REPEAT = 1000 };

typedef enum kind {
    ANY,
    SET,
    SPLIT,
    AT_START,
    AT_END,
    AT_LINE_START,
    AT_LINE_END,
    AT_WORD,
    NOT_AT_WORD,
    MATCH
} kind;

enum { FOLD = 1, DOT_ALL = 2, LINES = 4 }; /* the flags i, s and m */

typedef struct range {
    uint32_t lo, hi;
} range;

typedef struct state {
    uint8_t kind; /* of enum kind */
    bool negated;
    bool fold;            /* SET: in any case; ANY: a new line too */
    uint32_t next, other; /* SPLIT goes both ways */
    uint32_t range0, n_ranges;
} state;

struct us_regex {
    state *states;
    uint32_t n_states, start;
    range *ranges;
    uint32_t *list[2], *seen, *stack;
    uint32_t round;
};

typedef struct parser {
    us_ctx *c;
    us_arena *arena;
    us_sv s;
    size_t at;
    int depth;
    unsigned flags;
    bool literal; /* between \\Q and \\E */
    US_VEC(state) states;
    US_VEC(range) ranges;
} parser;

/* A piece of the automaton: enters at `from`, leaves through the state `to`, whose next is open. */
typedef struct piece {
    uint32_t from, to;
} piece;

static us_err alternatives(parser *p, piece *out);

static us_err bad(parser *p, us_err code, const char *what)
{
    return us_fail(p->c, code, "regular expression '" US_SV_FMT "', place %zu: %s",
                   US_SV_ARG(p->s), p->at, what);
}

static bool more(const parser *p)
{
    return p->at < p->s.n;
}

static bool take(parser *p, char ch)
{
    if (!more(p) || p->s.p[p->at] != ch) return false;
    p->at++;
    return true;
}

/* The code point at s[at]; a byte that begins no valid sequence stands for itself. */
static uint32_t code_point(us_sv s, size_t *at)
{
    uint8_t a = (uint8_t)s.p[(*at)++];
    size_t n = a >= 0xF0 && a < 0xF8 ? 3 : a >= 0xE0 && a < 0xF0 ? 2 : a >= 0xC2 && a < 0xE0;
    uint32_t v = n == 3 ? a & 7u : n == 2 ? a & 15u : a & 31u;
    if (n == 0 || s.n - *at < n) return a;
    for (size_t i = 0; i < n; i++) {
        uint8_t b = (uint8_t)s.p[*at + i];
        if ((b & 0xC0) != 0x80) return a;
        v = v << 6 | (b & 63u);
    }
    *at += n;
    return v;
}

/* --- states ------------------------------------------------------------------------------------------ */

static us_err new_state(parser *p, state s, uint32_t *id)
{
    if (p->states.n >= US_REGEX_MAX_STATES)
        return bad(p, US_LIMIT, "too many states; shorten the repeats");
    *id = (uint32_t)p->states.n;
    return us_vec_push(p->c, p->arena, &p->states, s);
}

static us_err one_state(parser *p, state s, piece *out)
{
    uint32_t id = 0;
    US_TRY(new_state(p, s, &id));
    *out = (piece){id, id};
    return US_OK;
}

/* A state that only passes on. */
static us_err nothing(parser *p, piece *out)
{
    US_TRY(one_state(p, (state){.kind = SPLIT}, out));
    p->states.at[out->from].other = out->from; /* itself: no second way */
    return US_OK;
}

static void chain(parser *p, piece *a, piece b)
{
    p->states.at[a->to].next = b.from;
    a->to = b.to;
}

/* --- classes ----------------------------------------------------------------------------------------- */

static us_err add_range(parser *p, uint32_t lo, uint32_t hi)
{
    if (p->ranges.n >= 16 * US_REGEX_MAX_STATES)
        return bad(p, US_LIMIT, "too many members of classes");
    return us_vec_push(p->c, p->arena, &p->ranges, ((range){lo, hi}));
}

static const struct {
    const char *name;
    range r[4];
    size_t n;
} classes[] = {
    {"d", {{'0', '9'}}, 1},
    {"w", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
    {"s", {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}}, 3},
    {"alpha", {{'A', 'Z'}, {'a', 'z'}}, 2},
    {"digit", {{'0', '9'}}, 1},
    {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 3},
    {"upper", {{'A', 'Z'}}, 1},
    {"lower", {{'a', 'z'}}, 1},
    {"space", {{'\t', '\r'}, {' ', ' '}}, 2},
    {"blank", {{'\t', '\t'}, {' ', ' '}}, 2},
    {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}, 4},
    {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, 3},
    {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
};

/* The named class, or what it leaves out. */
static us_err add_class(parser *p, us_sv name, bool negated)
{
    for (size_t i = 0; i < US_LEN(classes); i++) {
        if (!us_sv_is(name, classes[i].name)) continue;
        uint32_t from = 0;
        for (size_t j = 0; j < classes[i].n; j++) {
            range r = classes[i].r[j];
            if (!negated) US_TRY(add_range(p, r.lo, r.hi));
            if (negated && r.lo > from) US_TRY(add_range(p, from, r.lo - 1));
            from = r.hi + 1;
        }
        return negated ? add_range(p, from, 0x10FFFF) : US_OK;
    }
    return bad(p, US_ARG, "unknown class");
}

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9') return ch - '0';
    if (ch >= 'a' && ch <= 'f') return ch - 'a' + 10;
    return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* After \\x: two digits, or any number in braces. */
static us_err hex_escape(parser *p, uint32_t *ch)
{
    bool braces = take(p, '{');
    uint32_t v = 0;
    int n = 0;
    for (; more(p) && hex(p->s.p[p->at]) >= 0 && n < (braces ? 6 : 2); n++)
        v = v * 16 + (uint32_t)hex(p->s.p[p->at++]);
    if (n < (braces ? 1 : 2) || (braces && !take(p, '}')) || v > 0x10FFFF)
        return bad(p, US_ARG, "expected \\xHH or \\x{H...}, at most 10FFFF");
    *ch = v;
    return US_OK;
}

/* \\1 to \\7 alone would be back references; up to three digits otherwise. */
static us_err octal_escape(parser *p, char first, uint32_t *ch)
{
    uint32_t v = (uint32_t)(first - '0');
    int n = 1;
    for (; more(p) && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '7' && n < 3; n++)
        v = v * 8 + (uint32_t)(p->s.p[p->at++] - '0');
    if (first != '0' && n == 1) return bad(p, US_ARG, "there are no back references");
    *ch = v;
    return US_OK;
}

/* After a backslash: a class is added and *is_class set, else *ch is the character. */
static us_err escape(parser *p, bool *is_class, uint32_t *ch)
{
    static const char names[] = "tnrfva", values[] = "\t\n\r\f\v\a";
    *is_class = false;
    if (!more(p)) return bad(p, US_ARG, "it ends in a backslash");
    char e = p->s.p[p->at++];
    char low = (char)(e | 32);
    if (low == 'd' || low == 'w' || low == 's') {
        *is_class = true;
        return add_class(p, (us_sv){&low, 1}, e != low);
    }
    const char *known = strchr(names, e);
    if (known) {
        *ch = (uint8_t)values[known - names];
        return US_OK;
    }
    if (e == 'x') return hex_escape(p, ch);
    if (e >= '0' && e <= '7') return octal_escape(p, e, ch);
    bool word = (low >= 'a' && low <= 'z') || (e >= '0' && e <= '9');
    if (word) return bad(p, US_UNSUPP, "this escape is not supported");
    p->at--;
    *ch = code_point(p->s, &p->at);
    return US_OK;
}

/* One member of a class in brackets, or both ends of a range. */
static us_err member(parser *p)
{
    bool is_class = false;
    uint32_t lo = 0, hi;
    if (p->s.n - p->at > 3 && p->s.p[p->at] == '[' && p->s.p[p->at + 1] == ':') {
        size_t from = p->at + 2, to = from;
        while (to + 1 < p->s.n && p->s.p[to] != ':')
            to++;
        bool negated = from < to && p->s.p[from] == '^';
        p->at = to;
        if (!take(p, ':') || !take(p, ']')) return bad(p, US_ARG, "a class name has no end");
        from += negated;
        return add_class(p, (us_sv){p->s.p + from, to - from}, negated);
    }
    if (take(p, '\\'))
        US_TRY(escape(p, &is_class, &lo));
    else
        lo = code_point(p->s, &p->at);
    if (is_class) return US_OK;
    hi = lo;
    bool to_end = p->at + 1 < p->s.n && p->s.p[p->at] == '-' && p->s.p[p->at + 1] != ']';
    if (to_end) {
        p->at++;
        if (take(p, '\\'))
            US_TRY(escape(p, &is_class, &hi));
        else
            hi = code_point(p->s, &p->at);
    }
    if (is_class || hi < lo) return bad(p, US_ARG, "a range whose end is before its begin");
    return add_range(p, lo, hi);
}

static us_err set_of(parser *p, uint32_t range0, bool negated, piece *out)
{
    return one_state(p,
                     (state){.kind = SET,
                             .negated = negated,
                             .fold = (p->flags & FOLD) != 0,
                             .range0 = range0,
                             .n_ranges = (uint32_t)p->ranges.n - range0},
                     out);
}

static us_err brackets(parser *p, piece *out)
{
    uint32_t range0 = (uint32_t)p->ranges.n;
    bool negated = take(p, '^'), first = true;
    for (;; first = false) {
        if (!more(p)) return bad(p, US_ARG, "[ has no ]");
        if (!first && take(p, ']')) break;
        US_TRY(member(p));
    }
    return set_of(p, range0, negated, out);
}

/* --- grammar ----------------------------------------------------------------------------------------- */

static us_err group_name(parser *p)
{
    size_t from = p->at;
    while (more(p) && p->s.p[p->at] != '>') {
        char ch = p->s.p[p->at], low = (char)(ch | 32);
        if (!((low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || ch == '_'))
            return bad(p, US_ARG, "a group name is letters, digits and _");
        p->at++;
    }
    return p->at > from && take(p, '>') ? US_OK : bad(p, US_ARG, "a group name has no end");
}

/* Letters after (? up to : or ), which is left. U swaps what is lazy, which makes no difference here. */
static us_err group_flags(parser *p)
{
    static const char names[] = "ismU";
    bool off = false;
    for (; more(p) && p->s.p[p->at] != ':' && p->s.p[p->at] != ')'; p->at++) {
        const char *f = p->s.p[p->at] ? strchr(names, p->s.p[p->at]) : NULL;
        unsigned bit = f && *f != 'U' ? 1u << (f - names) : 0;
        if (p->s.p[p->at] == '-' && !off)
            off = true;
        else if (!f)
            return bad(p, US_ARG, "unknown form of a group");
        else
            p->flags = off ? p->flags & ~bit : p->flags | bit;
    }
    return US_OK;
}

/* After ( of a group; its flags end with it, but those of (?i) alone hold to the end of the group around. */
static us_err group(parser *p, piece *out)
{
    unsigned was = p->flags;
    if (take(p, '?')) {
        bool p_name = p->s.n - p->at >= 2 && p->s.p[p->at] == 'P' && p->s.p[p->at + 1] == '<';
        p->at += p_name;
        if (take(p, '<'))
            US_TRY(group_name(p));
        else
            US_TRY(group_flags(p));
        if (p->s.p[p->at - 1] != '>') {
            if (take(p, ')')) return nothing(p, out);
            if (!take(p, ':')) return bad(p, US_ARG, "( has no )");
        }
    }
    if (++p->depth > MAX_DEPTH) return bad(p, US_LIMIT, "groups are nested too deeply");
    US_TRY(alternatives(p, out));
    p->depth--;
    p->flags = was;
    return take(p, ')') ? US_OK : bad(p, US_ARG, "( has no )");
}

static us_err one_char(parser *p, uint32_t ch, piece *out)
{
    uint32_t range0 = (uint32_t)p->ranges.n;
    US_TRY(add_range(p, ch, ch));
    return set_of(p, range0, false, out);
}

/* After a backslash outside of brackets. */
static us_err escaped(parser *p, piece *out)
{
    static const struct {
        char letter;
        uint8_t kind;
    } places[] = {{'b', AT_WORD}, {'B', NOT_AT_WORD}, {'A', AT_START}, {'z', AT_END}};
    uint32_t range0 = (uint32_t)p->ranges.n, ch = 0;
    bool is_class = false;
    for (size_t i = 0; i < US_LEN(places); i++)
        if (take(p, places[i].letter))
            return one_state(p, (state){.kind = places[i].kind}, out);
    US_TRY(escape(p, &is_class, &ch));
    return is_class ? set_of(p, range0, false, out) : one_char(p, ch, out);
}

static us_err atom(parser *p, piece *out)
{
    bool lines = (p->flags & LINES) != 0, all = (p->flags & DOT_ALL) != 0;
    if (p->literal) return one_char(p, code_point(p->s, &p->at), out);
    if (take(p, '(')) return group(p, out);
    if (take(p, '[')) return brackets(p, out);
    if (take(p, '.')) return one_state(p, (state){.kind = ANY, .fold = all}, out);
    if (take(p, '^'))
        return one_state(p, (state){.kind = lines ? AT_LINE_START : AT_START}, out);
    if (take(p, '$')) return one_state(p, (state){.kind = lines ? AT_LINE_END : AT_END}, out);
    if (memchr("*+?", p->s.p[p->at], 3)) return bad(p, US_ARG, "nothing to repeat");
    if (take(p, '\\')) return escaped(p, out);
    return one_char(p, code_point(p->s, &p->at), out);
}

static bool number(parser *p, int *out)
{
    size_t from = p->at;
    int v = 0;
    while (more(p) && p->s.p[p->at] >= '0' && p->s.p[p->at] <= '9' && v <= MAX_REPEAT)
        v = v * 10 + (p->s.p[p->at++] - '0');
    *out = v;
    return p->at > from;
}

/* "{m}", "{m,}" or "{m,n}" (most -1: no end); false: not a repeat, and a brace is a brace. */
static bool counts(parser *p, int *least, int *most)
{
    size_t from = p->at;
    bool ok = take(p, '{') && number(p, least);
    *most = *least;
    if (ok && take(p, ',') && !number(p, most)) *most = -1;
    if (ok && take(p, '}')) return true;
    p->at = from;
    return false;
}

static bool repeats(parser *p, int *least, int *most)
{
    *least = 0;
    *most = -1;
    if (take(p, '*')) return true;
    if (take(p, '+')) {
        *least = 1;
        return true;
    }
    if (take(p, '?')) {
        *most = 1;
        return true;
    }
    return counts(p, least, most);
}

/* Any number of times: a split before the piece, which leads back to it. */
static us_err star(parser *p, piece *x)
{
    piece loop, end;
    US_TRY(one_state(p, (state){.kind = SPLIT}, &loop));
    US_TRY(nothing(p, &end));
    p->states.at[loop.from].next = x->from;
    p->states.at[loop.from].other = end.from;
    p->states.at[x->to].next = loop.from;
    *x = (piece){loop.from, end.to};
    return US_OK;
}

static us_err perhaps(parser *p, piece *x)
{
    piece fork, end;
    US_TRY(one_state(p, (state){.kind = SPLIT}, &fork));
    US_TRY(nothing(p, &end));
    p->states.at[fork.from].next = x->from;
    p->states.at[fork.from].other = end.from;
    p->states.at[x->to].next = end.from;
    *x = (piece){fork.from, end.to};
    return US_OK;
}

/* x{least,most}: the first copy is x, each further one is parsed again from the text at `from`. */
static us_err repeat(parser *p, size_t from, piece x, int least, int most, piece *out)
{
    size_t after = p->at;
    int copies = most < 0 ? least + 1 : most;
    if (copies > MAX_REPEAT || (most >= 0 && most < least))
        return bad(p, US_ARG, "a repeat of this many times");
    US_TRY(nothing(p, out));
    for (int i = 0; i < copies; i++) {
        if (i > 0) {
            p->at = from;
            US_TRY(atom(p, &x));
        }
        if (most < 0 && i == copies - 1)
            US_TRY(star(p, &x));
        else if (i >= least)
            US_TRY(perhaps(p, &x));
        chain(p, out, x);
    }
    p->at = after;
    return US_OK;
}

/* \\Q begins and \\E ends text in which nothing has a meaning. */
static void literal_marks(parser *p)
{
    while (p->s.n - p->at >= 2 && p->s.p[p->at] == '\\' &&
           p->s.p[p->at + 1] == (p->literal ? 'E' : 'Q')) {
        p->literal = !p->literal;
        p->at += 2;
    }
}

static bool at_end(parser *p)
{
    literal_marks(p);
    return !more(p) || (!p->literal && (p->s.p[p->at] == '|' || p->s.p[p->at] == ')'));
}

static us_err sequence(parser *p, piece *out)
{
    US_TRY(nothing(p, out));
    while (!at_end(p)) {
        size_t from = p->at;
        bool literal = p->literal;
        int least, most;
        piece x;
        US_TRY(atom(p, &x));
        literal_marks(p); /* what follows \\E may repeat the last letter before it */
        if (!p->literal && repeats(p, &least, &most)) {
            (void)take(p, '?'); /* lazy: the same set of strings */
            p->literal = literal;
            US_TRY(repeat(p, from, x, least, most, &x));
            p->literal = false;
            if (repeats(p, &least, &most)) return bad(p, US_ARG, "a repeat of a repeat");
        }
        chain(p, out, x);
    }
    return US_OK;
}

static us_err alternatives(parser *p, piece *out)
{
    US_TRY(sequence(p, out));
    while (take(p, '|')) {
        piece x, fork, end;
        US_TRY(sequence(p, &x));
        US_TRY(one_state(p, (state){.kind = SPLIT}, &fork));
        US_TRY(nothing(p, &end));
        p->states.at[fork.from].next = out->from;
        p->states.at[fork.from].other = x.from;
        p->states.at[out->to].next = end.from;
        p->states.at[x.to].next = end.from;
        *out = (piece){fork.from, end.to};
    }
    return US_OK;
}

us_err us_regex_new(us_ctx *c, us_arena *a, us_sv pattern, us_regex **out)
{
    parser p = {.c = c, .arena = a, .s = pattern};
    piece all, end;
    if (pattern.n > US_REGEX_MAX_PATTERN)
        return us_fail(c, US_LIMIT, "regular expression of %zu bytes, at most %d are possible",
                       pattern.n, US_REGEX_MAX_PATTERN);
    US_TRY(alternatives(&p, &all));
    if (more(&p)) return bad(&p, US_ARG, ") without (");
    US_TRY(one_state(&p, (state){.kind = MATCH}, &end));
    chain(&p, &all, end);
    us_regex *r = us_new(a, us_regex);
    if (!r) return us_arena_fail(c, a);
    *r = (us_regex){.states = p.states.at,
                    .n_states = (uint32_t)p.states.n,
                    .start = all.from,
                    .ranges = p.ranges.at};
    r->list[0] = us_new_n(a, uint32_t, p.states.n);
    r->list[1] = us_new_n(a, uint32_t, p.states.n);
    r->seen = us_new_n(a, uint32_t, p.states.n);
    r->stack = us_new_n(a, uint32_t, 2 * p.states.n + 2);
    if (!r->list[0] || !r->list[1] || !r->seen || !r->stack) return us_arena_fail(c, a);
    *out = r;
    return US_OK;
}

/* --- matching ---------------------------------------------------------------------------------------- */

static bool word_at(us_sv s, size_t at)
{
    if (at >= s.n) return false;
    char ch = s.p[at], low = (char)(ch | 32);
    return (low >= 'a' && low <= 'z') || (ch >= '0' && ch <= '9') || ch == '_';
}

/* Whether an assertion holds between the bytes at - 1 and at. */
static bool holds(uint8_t what, us_sv text, size_t at)
{
    if (what == AT_START) return at == 0;
    if (what == AT_END) return at == text.n;
    if (what == AT_LINE_START) return at == 0 || text.p[at - 1] == '\n';
    if (what == AT_LINE_END) return at == text.n || text.p[at] == '\n';
    bool edge = word_at(text, at) != (at > 0 && word_at(text, at - 1));
    return edge == (what == AT_WORD);
}

/* Adds a state and all that are reached from it without reading. */
static void reach(us_regex *r, uint32_t id, us_sv text, size_t at, uint32_t *list, uint32_t *n)
{
    uint32_t top = 0;
    r->stack[top++] = id;
    while (top) {
        uint32_t i = r->stack[--top];
        const state *s = &r->states[i];
        if (r->seen[i] == r->round) continue;
        r->seen[i] = r->round;
        if (s->kind == SPLIT) {
            r->stack[top++] = s->next;
            if (s->other != i) r->stack[top++] = s->other;
        } else if (s->kind >= AT_START && s->kind <= NOT_AT_WORD) {
            if (holds(s->kind, text, at)) r->stack[top++] = s->next;
        } else {
            list[(*n)++] = i;
        }
    }
}

static bool in_set(const us_regex *r, const state *s, uint32_t ch)
{
    for (uint32_t i = 0; i < s->n_ranges; i++)
        if (ch >= r->ranges[s->range0 + i].lo && ch <= r->ranges[s->range0 + i].hi) return true;
    return false;
}

static bool reads(const us_regex *r, const state *s, uint32_t ch)
{
    if (s->kind == ANY) return ch != '\n' || s->fold;
    if (s->kind != SET) return false;
    uint32_t all[4] = {ch};
    size_t n = s->fold ? us_case_variants(ch, all) : 1;
    bool in = false;
    for (size_t i = 0; i < n; i++)
        in = in || in_set(r, s, all[i]);
    return in != s->negated;
}

static void next_round(us_regex *r)
{
    if (++r->round) return;
    memset(r->seen, 0, r->n_states * sizeof *r->seen);
    r->round = 1;
}

bool us_regex_full_match(us_regex *r, us_sv text)
{
    uint32_t n = 0;
    size_t at = 0;
    int now = 0;
    next_round(r);
    reach(r, r->start, text, 0, r->list[now], &n);
    while (at < text.n && n) {
        uint32_t ch = code_point(text, &at), n_next = 0;
        next_round(r);
        for (uint32_t i = 0; i < n; i++) {
            const state *s = &r->states[r->list[now][i]];
            if (reads(r, s, ch)) reach(r, s->next, text, at, r->list[!now], &n_next);
        }
        n = n_next;
        now = !now;
    }
    for (uint32_t i = 0; i < n; i++)
        if (r->states[r->list[now][i]].kind == MATCH) return true;
    return false;
}
