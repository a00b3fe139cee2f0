/* exec/bind.c - a plan for one signature of the inputs: shapes, memory, ready-made calls.
 *
 * Steps: infer all shapes; group values that share memory (a view with its source, an output written over the
 * dying input of its node); find when each group dies; give the groups of known size offsets in one block
 * (memory.c); list, per step, what dies there and was sized at run time; fill one us_eval per step with pointers
 * that never change, so that a run is a walk over an array.
 *
 * Groups: `root` leads from a value to the one that its group lies in, `at` bytes from its beginning. A group rooted in something
 * that is not made by a node here (input, constant, outer value) is external: never written over. What a Concat joins is made where
 * the joined value has it, what a Split parts stays where it is, if parts have no gaps between them; then neither copies.
 */
#include "exec/plan.h"

#include <string.h>

#include "exec/memory.h"

#define BINDING_ARENA_CAP ((size_t)2 << 30)

typedef struct binder {
    us_ctx *c;
    us_session *s;
    us_arena *a;       /* the binding's */
    us_arena *scratch; /* until the binding is made */
    us_binding *bind;
    const us_gplan *gp;
    const us_val *vals; /* as inferred for this signature */
    us_frame *f;
    us_vid *root;
    size_t *at;             /* by value: bytes from the beginning of its root */
    uint32_t *first, *last; /* by root: first step that writes the group, last that reads it */
    size_t *bytes;          /* by value: planned bytes; 0 = size not known */
    size_t n_parts;         /* values that lie in another as a part of it */
    bool apart;             /* no parts */
} binder;

/* --- sizes ---------------------------------------------------------------------------------------- */

static bool known_dims(const us_type *t, int64_t *dims)
{
    if (t->kind != US_KIND_TENSOR || t->dtype == US_DT_NONE || t->rank < 0 ||
        t->rank > US_MAX_RANK)
        return false;
    for (int32_t d = 0; d < t->rank; d++) {
        if (!us_dim_known(t->dims[d]) || t->dims[d].add < 0) return false;
        dims[d] = t->dims[d].add;
    }
    return true;
}

/* In a sub-graph, which may never run, what is too large is simply not planned. */
static us_err measure(binder *b, us_vid v)
{
    int64_t dims[US_MAX_RANK], n;
    const us_type *t = &b->vals[v].type;
    if (!known_dims(t, dims)) return US_OK;
    us_sv name = b->gp->g->vals.at[v].name;
    size_t bytes;
    if (!us_dims_count(t->rank, dims, &n) || !us_dtype_bytes(t->dtype, (size_t)n, &bytes) ||
        bytes > b->s->opts.static_cap_bytes) {
        char text[160], cap[32];
        if (b->f->parent) return US_OK;
        return us_fail(b->c, US_LIMIT,
                       "value '" US_SV_FMT "' of shape %s exceeds the cap of %s",
                       US_SV_ARG(name), us_dims_print(t->rank, dims, text, sizeof text),
                       us_print_bytes(b->s->opts.static_cap_bytes, cap));
    }
    b->bytes[v] = US_MAX(bytes, 1);
    return US_OK;
}

/* --- groups ------------------------------------------------------------------------------------------ */

static bool made_here(const binder *b, us_vid v)
{
    return b->gp->def[v] != US_STEP_NEVER;
}

/* The root of v's group; the way there is made short. */
static us_vid root_of(binder *b, us_vid v)
{
    us_vid top = v;
    size_t at = 0;
    for (; b->root[top] != top; top = b->root[top])
        at += b->at[top];
    while (v != top) {
        us_vid next = b->root[v];
        size_t step = b->at[v];
        b->root[v] = top;
        b->at[v] = at;
        at -= step;
        v = next;
    }
    return top;
}

/* The group of v, which is its root, lies `at` bytes from the beginning of another value. */
static void join(binder *b, us_vid v, us_vid with, size_t at)
{
    us_vid r = root_of(b, with);
    b->root[v] = r;
    b->at[v] = b->at[with] + at;
    b->first[r] = US_MIN(b->first[r], b->first[v]);
    b->last[r] = US_MAX(b->last[r], b->last[v]);
}

static bool other_input_shares(binder *b, const us_step *s, us_vid r)
{
    for (uint32_t k = 1; k < s->n_in; k++) {
        us_vid v = b->gp->vids[s->at0 + k];
        if (v != US_NIL && root_of(b, v) == r) return true;
    }
    return false;
}

static bool same_type(const us_type *x, const us_type *y)
{
    if (x->dtype != y->dtype || x->rank != y->rank) return false;
    for (int32_t d = 0; d < x->rank; d++)
        if (!us_dim_eq(x->dims[d], y->dims[d])) return false;
    return true;
}

/* Whether step i may write its output over its first input. */
static bool can_overwrite(binder *b, const us_step *s, uint32_t i, us_vid x, us_vid y)
{
    if (!(s->op->flags & US_OP_INPLACE) || !b->bytes[x] || !b->bytes[y]) return false;
    us_vid r = root_of(b, x);
    return made_here(b, r) && b->bytes[r] && b->last[r] == i &&
           same_type(&b->vals[x].type, &b->vals[y].type) && !other_input_shares(b, s, r);
}

static void place_output(binder *b, const us_step *s, uint32_t i, us_vid x, us_vid y)
{
    us_slot *slot = &b->f->slots[y];
    if (x != US_NIL && (s->op->flags & US_OP_VIEW)) {
        slot->kind = US_SLOT_VIEW;
        join(b, y, x, 0);
    } else if (x != US_NIL && can_overwrite(b, s, i, x, y)) {
        slot->kind = US_SLOT_ARENA;
        join(b, y, x, 0);
    } else {
        slot->kind = b->bytes[y] ? US_SLOT_ARENA : US_SLOT_DYNAMIC;
    }
}

/* Bytes of v where it may be a part of `whole`: as wide along all axes but the first that is longer than one. Else 0. */
static size_t part_bytes(const binder *b, us_vid v, us_vid whole)
{
    if (v == US_NIL || !b->bytes[v]) return 0;
    const us_type *x = &b->vals[v].type, *y = &b->vals[whole].type;
    if (x->dtype != y->dtype || x->rank != y->rank) return 0;
    int32_t d = 0;
    while (d < y->rank && y->dims[d].add == 1)
        d++;
    for (d++; d < y->rank; d++)
        if (!us_dim_eq(x->dims[d], y->dims[d])) return 0;
    return b->bytes[v];
}

/* Whether the n values of this list lie one behind the other in `whole`, all of it. */
static bool are_parts(const binder *b, const us_vid *list, uint32_t n, us_vid whole)
{
    size_t sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        size_t bytes = part_bytes(b, list[k], whole);
        if (!bytes) return false;
        sum += bytes;
    }
    return sum == b->bytes[whole];
}

/* A value that has its group's memory for itself is made where the joined one has it. */
static void join_inputs(binder *b, const us_step *s)
{
    const us_vid *in = &b->gp->vids[s->at0], y = in[s->n_in];
    if (y == US_NIL || !b->bytes[y] || !are_parts(b, in, s->n_in, y)) return;
    for (size_t k = 0, at = 0; k < s->n_in; at += b->bytes[in[k++]]) {
        us_vid r = root_of(b, in[k]);
        if (at % US_MEM_ALIGN || r == y || !made_here(b, r) || b->bytes[r] != b->bytes[in[k]] ||
            b->f->slots[r].kind != US_SLOT_ARENA)
            continue;
        join(b, r, y, at);
        b->n_parts++;
    }
}

static void part_input(binder *b, const us_step *s)
{
    const us_vid *out = &b->gp->vids[s->at0 + s->n_in], x = b->gp->vids[s->at0];
    us_vid r = x == US_NIL ? US_NIL : root_of(b, x);
    if (r == US_NIL || !b->bytes[x] || !made_here(b, r) ||
        b->f->slots[r].kind != US_SLOT_ARENA || !are_parts(b, out, s->n_out, x))
        return;
    for (size_t k = 0, at = 0; k < s->n_out; at += b->bytes[out[k++]]) {
        if ((b->at[x] + at) % US_MEM_ALIGN) continue;
        join(b, out[k], x, at);
        b->n_parts++;
    }
}

static void group_values(binder *b)
{
    const us_gplan *gp = b->gp;
    b->n_parts = 0;
    for (size_t v = 0; v < gp->n_vals; v++) {
        b->root[v] = (us_vid)v;
        b->at[v] = 0;
        b->first[v] = gp->def[v];
        b->last[v] = gp->last[v];
        if (b->last[v] == US_STEP_NEVER) b->last[v] = made_here(b, (us_vid)v) ? gp->def[v] : 0;
    }
    for (uint32_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        us_vid x = s->n_in ? gp->vids[s->at0] : US_NIL;
        for (uint32_t k = 0; k < s->n_out; k++) {
            us_vid y = gp->vids[s->at0 + s->n_in + k];
            if (y != US_NIL) place_output(b, s, i, k == 0 ? x : US_NIL, y);
        }
        if ((s->op->flags & US_OP_JOINS) && !b->apart) join_inputs(b, s);
        if ((s->op->flags & US_OP_PARTS) && !b->apart) part_input(b, s);
    }
}

/* --- offsets -------------------------------------------------------------------------------------------- */

/* The blocks of a step's sub-graphs lie at one place, for one of them runs at a time and keeps nothing. */
static size_t add_sub_blocks(const binder *b, us_mem_item *items, size_t n, uint32_t *step)
{
    for (uint32_t i = 0; i < b->gp->n_steps; i++) {
        const us_step *s = &b->gp->steps[i];
        size_t bytes = 0;
        for (uint32_t j = 0; j < s->n_sub; j++)
            bytes = US_MAX(bytes, b->f->subs[s->sub0 + j]->block_bytes);
        if (bytes == 0) continue;
        items[n] = (us_mem_item){.bytes = bytes, .first = i, .last = i};
        step[n++] = i;
    }
    return n;
}

static us_err plan_groups(binder *b)
{
    const us_gplan *gp = b->gp;
    us_frame *f = b->f;
    us_mark mark = us_arena_mark(b->scratch);
    us_mem_item *items = us_new_n(b->scratch, us_mem_item, gp->n_vals + gp->n_steps);
    uint32_t *who = us_new_n(b->scratch, uint32_t, gp->n_vals + gp->n_steps);
    size_t live_peak;
    if (!items || !who) return us_arena_fail(b->c, b->scratch);
    size_t n = 0;
    for (size_t v = 0; v < gp->n_vals; v++) {
        if (f->slots[v].kind != US_SLOT_ARENA || b->root[v] != v) continue;
        items[n] =
            (us_mem_item){.bytes = b->bytes[v], .first = b->first[v], .last = b->last[v]};
        who[n++] = (us_vid)v;
    }
    size_t n_vals = n;
    n = add_sub_blocks(b, items, n, who);
    US_TRY(us_mem_plan(b->c, items, n, &f->block_bytes, &live_peak));
    if (!f->parent) b->bind->live_peak = live_peak;
    for (size_t i = 0; i < n_vals; i++)
        f->slots[who[i]].offset = items[i].offset;
    for (size_t i = n_vals; i < n; i++)
        for (uint32_t j = 0; j < gp->steps[who[i]].n_sub; j++)
            f->subs[gp->steps[who[i]].sub0 + j]->block_at = items[i].offset;
    for (size_t v = 0; v < gp->n_vals; v++) {
        us_slot *slot = &f->slots[v];
        if (slot->kind != US_SLOT_ARENA) continue;
        us_vid r = root_of(b, (us_vid)v);
        if (r != v) slot->offset = f->slots[r].offset + b->at[v];
        slot->bytes = b->bytes[v];
    }
    us_arena_reset(b->scratch, mark);
    return US_OK;
}

static us_err place(binder *b, bool apart)
{
    b->apart = apart;
    group_values(b);
    return plan_groups(b);
}

/* Parts in their places save copies, but a joined value then has all its memory from its first part on: not where the block grows by it. */
static us_err plan_block(binder *b)
{
    us_frame *f = b->f;
    US_TRY(place(b, false));
    if (b->n_parts > 0) {
        size_t with_parts = f->block_bytes;
        US_TRY(place(b, true));
        if (with_parts <= f->block_bytes) US_TRY(place(b, false));
    }
    if (f->block_bytes > b->s->opts.static_cap_bytes) {
        char need[32], cap[32];
        return us_fail(b->c, US_LIMIT,
                       "intermediate values need %s at these input shapes; the cap is %s",
                       us_print_bytes(f->block_bytes, need),
                       us_print_bytes(b->s->opts.static_cap_bytes, cap));
    }
    return US_OK;
}

/* Per step, the values sized at run time whose group dies there. Counting sort by step. */
static us_err list_deaths(binder *b)
{
    const us_gplan *gp = b->gp;
    us_frame *f = b->f;
    f->free_at = us_new_n(b->a, uint32_t, gp->n_steps + 2);
    f->free_ids = us_new_n(b->a, us_vid, gp->n_vals);
    if (!f->free_at || !f->free_ids) return us_arena_fail(b->c, b->a);
    for (size_t v = 0; v < gp->n_vals; v++) {
        us_vid r = root_of(b, (us_vid)v);
        uint32_t at = b->last[r];
        if (f->slots[v].kind == US_SLOT_NONE || at >= gp->n_steps) continue;
        if (b->bytes[r] && f->slots[r].kind == US_SLOT_ARENA) continue;
        f->free_at[at + 2]++;
        f->any_frees = true;
    }
    for (size_t i = 2; i < gp->n_steps + 2; i++)
        f->free_at[i] += f->free_at[i - 1];
    for (size_t v = 0; v < gp->n_vals; v++) {
        us_vid r = root_of(b, (us_vid)v);
        uint32_t at = b->last[r];
        if (f->slots[v].kind == US_SLOT_NONE || at >= gp->n_steps) continue;
        if (b->bytes[r] && f->slots[r].kind == US_SLOT_ARENA) continue;
        f->free_ids[f->free_at[at + 1]++] = (us_vid)v;
    }
    return US_OK;
}

/* --- calls ------------------------------------------------------------------------------------------------ */

const us_value *us_frame_value(const us_frame *f, us_vid v)
{
    const us_val *val = &f->gp->g->vals.at[v];
    switch (val->storage) {
    case US_ST_CONST:
    case US_ST_VARIABLE: return val->data;
    case US_ST_OUTER:
        return f->parent && val->outer != US_NIL ? us_frame_value(f->parent, val->outer)
                                                 : &f->vals[v];
    case US_ST_INPUT:
    case US_ST_TEMP: break;
    }
    return &f->vals[v];
}

static us_err make_calls(binder *b)
{
    const us_gplan *gp = b->gp;
    us_frame *f = b->f;
    const us_value **in = us_new_n(b->a, const us_value *, gp->n_vids);
    us_value **out = us_new_n(b->a, us_value *, gp->n_vids);
    f->evals = us_new_n(b->a, us_eval, gp->n_steps);
    f->checked = us_new_n(b->a, uint64_t, gp->n_steps);
    if (!in || !out || !f->evals || !f->checked) return us_arena_fail(b->c, b->a);
    for (size_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        for (uint32_t k = 0; k < s->n_in; k++) {
            us_vid v = gp->vids[s->at0 + k];
            in[s->at0 + k] = v == US_NIL ? NULL : us_frame_value(f, v);
        }
        for (uint32_t k = 0; k < s->n_out; k++) {
            us_vid v = gp->vids[s->at0 + s->n_in + k];
            out[s->at0 + s->n_in + k] = v == US_NIL ? NULL : &f->vals[v];
        }
        f->evals[i] = (us_eval){.n = s->node,
                                .params = s->node->params,
                                .in = in + s->at0,
                                .n_in = s->n_in,
                                .out = out + s->at0 + s->n_in,
                                .n_out = s->n_out,
                                .env = &f->env,
                                .prepared = s->prepared};
    }
    return US_OK;
}

static us_err frame_new(binder *b, const us_gplan *gp, const us_graph *typed, us_frame *parent,
                        us_frame **out);

static us_err sub_frames(binder *b, const us_gplan *gp, const us_graph *typed, us_frame *f)
{
    for (size_t i = 0; i < gp->n_steps; i++) {
        const us_step *s = &gp->steps[i];
        for (uint32_t j = 0; j < s->n_sub; j++)
            US_TRY(frame_new(b, gp->subs[s->sub0 + j], us_typed_sub(typed, gp, s, j), f,
                             &f->subs[s->sub0 + j]));
    }
    return US_OK;
}

/* What does not fit half the cap gets its memory when it runs. */
static bool is_plannable(const binder *b)
{
    double sum = 0;
    for (size_t v = 0; v < b->gp->n_vals; v++)
        sum += (double)b->bytes[v];
    return sum <= (double)b->s->opts.static_cap_bytes / 2;
}

static us_err frame_new(binder *b, const us_gplan *gp, const us_graph *typed, us_frame *parent,
                        us_frame **out)
{
    us_frame *f = us_new(b->a, us_frame);
    if (!f) return us_arena_fail(b->c, b->a);
    f->s = b->s;
    f->gp = gp;
    f->parent = parent;
    us_frame_env_init(f);
    f->vals = us_new_n(b->a, us_value, gp->n_vals);
    f->slots = us_new_n(b->a, us_slot, gp->n_vals);
    f->subs = us_new_n(b->a, us_frame *, gp->n_subs);
    if (!f->vals || !f->slots || !f->subs) return us_arena_fail(b->c, b->a);
    us_mark mark = us_arena_mark(b->scratch);
    binder k = *b;
    k.gp = gp;
    k.f = f;
    k.vals = typed->vals.at;
    k.root = us_new_n(b->scratch, us_vid, gp->n_vals);
    k.at = us_new_n(b->scratch, size_t, gp->n_vals);
    k.first = us_new_n(b->scratch, uint32_t, gp->n_vals);
    k.last = us_new_n(b->scratch, uint32_t, gp->n_vals);
    k.bytes = us_new_n(b->scratch, size_t, gp->n_vals);
    if (!k.root || !k.at || !k.first || !k.last || !k.bytes)
        return us_arena_fail(b->c, b->scratch);
    for (us_vid v = 0; v < gp->n_vals; v++)
        if (made_here(&k, v)) US_TRY(measure(&k, v));
    if (parent && !is_plannable(&k)) memset(k.bytes, 0, gp->n_vals * sizeof *k.bytes);
    US_TRY(sub_frames(&k, gp, typed, f)); /* first: their blocks lie in this one's */
    US_TRY(plan_block(&k));
    US_TRY(list_deaths(&k));
    US_TRY(make_calls(&k));
    us_arena_reset(b->scratch, mark);
    *out = f;
    return US_OK;
}

/* --- signatures ---------------------------------------------------------------------------------------------- */

static const char *kind_name(us_kind k)
{
    static const char *const names[] = {
        [US_KIND_NONE] = "nothing",        [US_KIND_TENSOR] = "a tensor",
        [US_KIND_SEQUENCE] = "a sequence", [US_KIND_MAP] = "a map",
        [US_KIND_OPTIONAL] = "optional",   [US_KIND_SPARSE] = "sparse"};
    return (size_t)k < US_LEN(names) ? names[k] : "unknown";
}

/* Binds symbols to sizes as the inputs come; a symbol has one size. */
static us_err check_dim(binder *b, us_dim d, int64_t size, int64_t *syms, us_sv name,
                        int32_t axis)
{
    if (us_dim_known(d)) {
        if (d.add == size) return US_OK;
        return us_fail(b->c, US_SHAPE,
                       "input '" US_SV_FMT "': dimension %d is %lld, the model says %lld",
                       US_SV_ARG(name), (int)axis, (long long)size, (long long)d.add);
    }
    if (d.mul != 1 || d.add != 0) return US_OK;
    if (syms[d.sym] < 0) syms[d.sym] = size;
    if (syms[d.sym] == size) return US_OK;
    return us_fail(b->c, US_SHAPE,
                   "input '" US_SV_FMT "': dimension %d ('" US_SV_FMT
                   "') is %lld, but an earlier input has %lld there",
                   US_SV_ARG(name), (int)axis, US_SV_ARG(b->s->p->m->syms.names.at[d.sym]),
                   (long long)size, (long long)syms[d.sym]);
}

static us_err check_tensor(binder *b, const us_type *want, const us_tensor *t, us_sv name,
                           int64_t *syms)
{
    int64_t n;
    if (want->dtype != US_DT_NONE && want->dtype != t->dtype)
        return us_fail(b->c, US_ARG, "input '" US_SV_FMT "' is %s, the model takes %s",
                       US_SV_ARG(name), us_dtype_get(t->dtype)->name,
                       us_dtype_get(want->dtype)->name);
    if (us_dtype_get(t->dtype)->bits == 0 || t->rank < 0 || t->rank > US_MAX_RANK ||
        !us_dims_count(t->rank, t->dims, &n))
        return us_fail(b->c, US_ARG, "input '" US_SV_FMT "' is not a valid tensor",
                       US_SV_ARG(name));
    if (want->rank >= 0 && want->rank != t->rank) {
        char dims[160];
        return us_fail(b->c, US_SHAPE,
                       "input '" US_SV_FMT "' has %d dimensions %s, the model takes %d",
                       US_SV_ARG(name), (int)t->rank,
                       us_dims_print(t->rank, t->dims, dims, sizeof dims), (int)want->rank);
    }
    for (int32_t d = 0; d < t->rank && want->rank >= 0; d++)
        US_TRY(check_dim(b, want->dims[d], t->dims[d], syms, name, d));
    return US_OK;
}

static us_err check_inputs(binder *b, const us_value *in)
{
    const us_plan *p = b->s->p;
    size_t n_syms = p->m->syms.names.n + 1;
    int64_t *syms = us_new_n(b->scratch, int64_t, n_syms);
    if (!syms) return us_arena_fail(b->c, b->scratch);
    for (size_t i = 0; i < n_syms; i++)
        syms[i] = -1;
    for (size_t i = 0; i < p->n_in; i++) {
        const us_type *want = us_plan_input_type(p, i);
        if (want->kind == US_KIND_OPTIONAL) continue;
        if (want->kind != US_KIND_NONE && want->kind != in[i].kind)
            return us_fail(b->c, US_ARG, "input '" US_SV_FMT "' is %s, the model takes %s",
                           US_SV_ARG(p->in_name[i]), kind_name(in[i].kind),
                           kind_name(want->kind));
        if (in[i].kind == US_KIND_TENSOR)
            US_TRY(check_tensor(b, want, &in[i].t, p->in_name[i], syms));
    }
    return US_OK;
}

static us_err keep_signature(binder *b, const us_value *in)
{
    const us_plan *p = b->s->p;
    b->bind->sig = us_new_n(b->a, us_tensor, p->n_in);
    if (!b->bind->sig) return us_arena_fail(b->c, b->a);
    for (size_t i = 0; i < p->n_in; i++) {
        us_tensor *t = &b->bind->sig[i];
        t->rank = -1;
        t->strides[0] = (int64_t)in[i].kind; /* of other kinds, the kind */
        if (in[i].kind != US_KIND_TENSOR) continue;
        t->dtype = in[i].t.dtype;
        t->rank = in[i].t.rank;
        memcpy(t->dims, in[i].t.dims, sizeof t->dims);
    }
    return US_OK;
}

bool us_binding_takes(const us_binding *b, const us_plan *p, const us_value *in)
{
    for (size_t i = 0; i < p->n_in; i++) {
        const us_tensor *t = &b->sig[i];
        if (in[i].kind != US_KIND_TENSOR) {
            /* A signature says nothing about other kinds: they are checked and bound anew when they change kind. */
            if (t->rank != -1 || (int64_t)in[i].kind != t->strides[0]) return false;
            continue;
        }
        if (t->rank != in[i].t.rank || t->dtype != in[i].t.dtype) return false;
        for (int32_t d = 0; d < t->rank; d++)
            if (t->dims[d] != in[i].t.dims[d]) return false;
    }
    return true;
}

/* Where the plan's inputs are put and its outputs found. */
static us_err list_ends(binder *b)
{
    const us_plan *p = b->s->p;
    us_binding *bind = b->bind;
    bind->ins = us_new_n(b->a, us_value *, p->n_in);
    bind->outs = us_new_n(b->a, const us_value *, p->n_out);
    bind->kept = us_new_n(b->a, bool, p->n_out);
    if (!bind->ins || !bind->outs || !bind->kept) return us_arena_fail(b->c, b->a);
    for (size_t i = 0; i < p->n_in; i++)
        bind->ins[i] = &bind->main->vals[p->in[i]];
    for (size_t i = 0; i < p->n_out; i++)
        bind->outs[i] = us_frame_value(bind->main, p->out[i]);
    return US_OK;
}

static void note_kept(us_binding *b, const us_plan *p, const us_graph *typed)
{
    const us_frame *f = b->main;
    for (size_t i = 0; i < p->n_out; i++) {
        us_vid v = p->out[i];
        uint32_t by = f->gp->def[v];
        b->kept[i] = by != US_STEP_NEVER && f->calls[by].run &&
                     typed->vals.at[v].type.kind != US_KIND_TENSOR;
    }
}

static size_t count_static(const us_frame *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->gp->n_steps; i++) {
        const us_step *s = &f->gp->steps[i];
        bool all = s->n_sub == 0;
        for (uint32_t k = 0; k < s->n_out; k++) {
            us_vid v = f->gp->vids[s->at0 + s->n_in + k];
            all = all && (v == US_NIL || f->slots[v].kind != US_SLOT_DYNAMIC);
        }
        n += all;
    }
    return n;
}

static void name_kernel(us_profile_row *row, const us_frame *f, size_t i, const uint32_t *reads)
{
    const us_call *call = &f->calls[i];
    row->why = us_step_why(f->gp, i, call, reads);
    row->macs = call->macs;
    row->bytes = call->bytes;
    if (!call->run) return;
    row->kernel = call->kernel ? call->kernel : "call";
    row->work = f->costs[i];
}

static us_err name_kernels(us_ctx *c, us_session *s, const us_frame *f, us_arena *scratch)
{
    if (!s->rows) return US_OK;
    us_mark mark = us_arena_mark(scratch);
    uint32_t *reads = us_new_n(scratch, uint32_t, f->gp->n_vals);
    if (!reads) return us_arena_fail(c, scratch);
    us_step_reads(f->gp, reads);
    for (size_t i = 0; i < f->gp->n_steps; i++)
        name_kernel(&s->rows[f->gp->row0 + i], f, i, reads);
    us_arena_reset(scratch, mark);
    for (size_t i = 0; i < f->gp->n_subs; i++)
        US_TRY(name_kernels(c, s, f->subs[i], scratch));
    return US_OK;
}

static us_err bind_in(us_ctx *c, us_session *s, const us_value *in, us_arena *a,
                      us_arena *scratch, us_binding **out)
{
    us_binding *bind = us_new(a, us_binding);
    if (!bind) return us_arena_fail(c, a);
    bind->arena = a;
    binder b = {.c = c, .s = s, .a = a, .scratch = scratch, .bind = bind};
    US_TRY(check_inputs(&b, in));
    US_TRY(keep_signature(&b, in));
    us_graph *typed;
    US_TRY(us_resolve_types(c, scratch, s->p, in, &typed));
    US_TRY(frame_new(&b, s->p->main, typed, NULL, &bind->main));
    bind->block_bytes = bind->main->block_bytes;
    bind->n_static = count_static(bind->main);
    US_TRY(list_ends(&b));
    US_TRY(us_frame_bind(c, bind, typed, scratch));
    note_kept(bind, s->p, typed);
    bind->serial = ++s->n_made;
    US_TRY(name_kernels(c, s, bind->main, scratch));
    *out = bind;
    return US_OK;
}

us_err us_binding_new(us_ctx *c, us_session *s, const us_value *in, us_binding **out)
{
    us_arena *a, *scratch;
    US_TRY(us_arena_new(c, "binding", BINDING_ARENA_CAP, &a));
    us_err e = us_arena_new(c, "shapes", BINDING_ARENA_CAP, &scratch);
    if (e == US_OK) {
        e = bind_in(c, s, in, a, scratch, out);
        us_arena_free(scratch);
    }
    if (e != US_OK) {
        us_arena_free(a);
        return e;
    }
    us_trace(c, PLAN, 1, "binding: %zu of %zu steps static, block %zu bytes, live peak %zu",
             (*out)->n_static, s->p->main->n_steps, (*out)->block_bytes, (*out)->live_peak);
    return US_OK;
}

void us_binding_free(us_binding *b)
{
    if (!b) return;
    if (b->main) us_frame_release(b->main);
    us_arena_free(b->arena);
}
