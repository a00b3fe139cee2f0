/* ir/op_ms_generate.c - see op_ms_generate.h.
 *
 * GPT-2: input_ids, position_ids [rows,len], attention_mask [rows,all so far], states [2,rows,heads,before,size]; gives logits
 * and the states with the new tokens. A prompt may be padded: padding is masked and has position 0.
 * T5: the encoder sees each prompt once; keys and values of the cross attention are repeated for the beams. Its older form
 * runs the decoder's first step too (logits, hidden states, self states), its newer one gives the cross states alone.
 */
#include "ir/op_ms_generate.h"

#include <string.h>

static int64_t rows_of(const us_ms_decoder *o)
{
    return o->batch * o->beams;
}

static us_err set(us_eval *k, us_value *v, us_dtype t, int rank, const int64_t *dims,
                  void *data)
{
    us_tensor x;
    US_TRY(us_tensor_init(k->c, &x, t, rank, dims, data));
    *v = us_value_of(&x);
    return US_OK;
}

static us_err ints(us_eval *k, int64_t rows, int64_t wide, int32_t **out)
{
    void *p;
    US_TRY(us_ms_zeros(k, sizeof **out, 2, (const int64_t[]){rows, wide}, &p));
    *out = p;
    return US_OK;
}

static us_err values(us_eval *k, size_t n, us_value **v, const us_value ***p)
{
    us_arena *a = k->env->dynamic(k->env, k);
    *v = us_new_n(a, us_value, n + 1);
    *p = us_new_n(a, const us_value *, n + 1);
    if (!*v || !*p) return us_arena_fail(k->c, a);
    for (size_t i = 0; i < n; i++)
        (*p)[i] = *v + i;
    return US_OK;
}

static us_err run(us_eval *k, us_graph *g, const us_value **in, us_value *out)
{
    if (!k->env->sub_run) return us_eval_fail(k, US_UNSUPP, "no sub-graphs can run here");
    return k->env->sub_run(k->env, k, g, g->inputs.n, in, g->outputs.n, out);
}

static void drop(us_eval *k, us_value *v)
{
    if (k->env->release) k->env->release(k->env, k, v);
}

/* Input or output i of a sub-graph must be declared as a tensor of one of these types, or of none. */
static us_err declared(us_eval *k, const us_graph *g, us_vid v, us_dtype_mask types, int rank,
                       const us_type **out)
{
    const us_type *t = &g->vals.at[v].type;
    if (t->kind != US_KIND_TENSOR || !(types >> t->dtype & 1) || t->rank != rank)
        return us_eval_fail(k, US_ARG,
                            "'" US_SV_FMT "' of the sub-graph is not declared as it must be: a "
                            "tensor of rank %d",
                            US_SV_ARG(g->vals.at[v].name), rank);
    *out = t;
    return US_OK;
}

/* --- states ------------------------------------------------------------------------------------------ */

/* Bytes of row r of a state: dims before the axis of rows, and after it. */
static int axis_of(const us_ms_decoder *o)
{
    return o->model == US_MS_MODEL_GPT ? 1 : 0;
}

/* State i of the next run: rows of t, [rows] or [batch], in the order of the beams. */
static us_err put_state(us_eval *k, us_ms_decoder *o, size_t i, const us_tensor *t,
                        const int64_t *from)
{
    us_ms_state *s = &o->state[i];
    int axis = axis_of(o), rank = t->rank;
    int64_t dims[US_MAX_RANK], most[US_MAX_RANK], rows = rows_of(o);
    us_tensor dense;
    if (rank != axis + 4 || (t->dims[axis] != rows && t->dims[axis] != o->batch))
        return us_eval_fail(k, US_SHAPE,
                            "state %zu of the sub-graph has another shape than states have", i);
    US_TRY(us_eval_as(k, t, t->dtype, &dense));
    size_t size = us_dtype_get(t->dtype)->bits / 8;
    memcpy(dims, t->dims, (size_t)rank * sizeof *dims);
    dims[axis] = rows;
    memcpy(most, dims, sizeof most);
    most[rank - 2] = US_MAX(most[rank - 2], o->max_length);
    int64_t inner = us_dims_product(dims, axis + 1, rank),
            outer = us_dims_product(dims, 0, axis);
    size_t bytes = (size_t)inner * size, need = bytes * (size_t)(rows * outer);
    if (!s->p || need > s->bytes) {
        US_TRY(us_ms_zeros(k, size, (size_t)rank, most, &s->p));
        s->bytes = (size_t)us_dims_product(most, 0, rank) * size;
    }
    int64_t share = t->dims[axis] == rows ? 1 : o->beams;
    for (int64_t a = 0; a < outer && bytes; a++)
        for (int64_t r = 0; r < rows; r++) {
            int64_t src = (from ? from[r] : r) / share;
            memcpy((char *)s->p + (size_t)(a * rows + r) * bytes,
                   (const char *)dense.data + (size_t)(a * t->dims[axis] + src) * bytes, bytes);
        }
    return set(k, &o->in[o->first_past + i], t->dtype, rank, dims, s->p);
}

/* States of no steps, as the sub-graph declares them. */
static us_err empty_states(us_eval *k, us_ms_decoder *o)
{
    int axis = axis_of(o), rank = axis + 4;
    for (size_t i = 0; i < o->n_states; i++) {
        const us_type *t;
        US_TRY(declared(k, o->g, o->g->inputs.at[o->first_past + i], US_M_FLOATS, rank, &t));
        int64_t dims[US_MAX_RANK] = {2};
        if (!us_dim_known(t->dims[axis + 1]) || !us_dim_known(t->dims[axis + 3]))
            return us_eval_fail(k, US_ARG,
                                "the sub-graph does not declare the heads of state %zu", i);
        dims[axis] = rows_of(o);
        dims[axis + 1] = t->dims[axis + 1].add;
        dims[axis + 3] = t->dims[axis + 3].add;
        US_TRY(set(k, &o->in[o->first_past + i], t->dtype, rank, dims, o->ids));
    }
    return US_OK;
}

/* --- GPT-2 ------------------------------------------------------------------------------------------- */

/* Mask and positions of the prompt; rows of one batch are alike. positions gets the next one in column 0 of `next`. */
static us_err prompt(us_eval *k, us_ms_decoder *o, const int32_t *words, const int64_t *given,
                     int32_t *positions)
{
    const us_p_ms_generate *p = k->params;
    int64_t len = o->start;
    for (int64_t r = 0; r < rows_of(o); r++) {
        int32_t at = 0;
        for (int64_t j = 0; j < len; j++) {
            int64_t src = r / o->beams * len + j;
            bool pad = words[src] == p->pad_token_id;
            o->ids[r * len + j] = words[src];
            o->mask_all[r * o->max_length + j] = given ? (int32_t)given[src] : !pad;
            positions[r * len + j] = pad ? 0 : at++;
        }
        for (int64_t j = len; j < o->max_length; j++)
            o->mask_all[r * o->max_length + j] = 1;
        o->positions[r] = at;
    }
    return US_OK;
}

static us_err set_mask(us_eval *k, us_ms_decoder *o, int64_t len)
{
    const int64_t dims[] = {rows_of(o), len};
    for (int64_t r = 0; r < dims[0]; r++)
        memcpy(o->mask + r * len, o->mask_all + r * o->max_length,
               (size_t)len * sizeof *o->mask);
    return set(k, &o->in[2], US_I32, 2, dims, o->mask);
}

static us_err open_gpt(us_eval *k, us_ms_decoder *o, size_t i_mask, const us_tensor *words)
{
    const us_tensor *mask = us_eval_opt(k, i_mask);
    const int64_t rows = rows_of(o), dims[] = {rows, o->start};
    const int64_t *given;
    const us_type *t;
    size_t n;
    int32_t *positions;
    if (o->g->outputs.n < 2 || o->g->inputs.n != o->g->outputs.n + 2)
        return us_eval_fail(
            k, US_UNSUPP,
            "the decoder has %zu inputs and %zu outputs; a GPT-2 has ids, positions, "
            "mask and states (buffers shared by past and present are not done)",
            o->g->inputs.n, o->g->outputs.n);
    for (size_t i = 0; i < 3; i++)
        US_TRY(declared(k, o->g, o->g->inputs.at[i], US_M(I32), 2, &t));
    if (mask && !us_tensor_same_dims(mask, words))
        return us_eval_fail(k, US_SHAPE, "attention_mask is not of the shape of input_ids");
    US_TRY(us_eval_ints(k, i_mask, &n, &given));
    o->first_past = 3;
    o->n_states = o->g->outputs.n - 1;
    US_TRY(ints(k, rows, o->max_length, &o->mask));
    US_TRY(ints(k, rows, o->max_length, &o->mask_all));
    US_TRY(ints(k, rows, 1, &o->positions));
    US_TRY(ints(k, rows, o->start, &positions));
    US_TRY(prompt(k, o, words->data, given, positions));
    US_TRY(set(k, &o->in[0], US_I32, 2, dims, o->ids));
    US_TRY(set(k, &o->in[1], US_I32, 2, dims, positions));
    US_TRY(set_mask(k, o, o->start));
    return empty_states(k, o);
}

/* --- T5 ---------------------------------------------------------------------------------------------- */

/* Input i of the decoder: what the encoder gave or got, [batch,...], once per beam. */
static us_err repeat(us_eval *k, us_ms_decoder *o, size_t i, const us_tensor *t)
{
    int64_t dims[US_MAX_RANK], rows = rows_of(o);
    us_tensor dense;
    void *to;
    if (t->rank < 1 || t->dims[0] != o->batch)
        return us_eval_fail(k, US_SHAPE, "the encoder gives another batch than it gets");
    US_TRY(us_eval_as(k, t, t->dtype, &dense));
    memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
    dims[0] = rows;
    size_t size = us_dtype_get(t->dtype)->bits / 8,
           bytes = size * (size_t)us_dims_product(dims, 1, t->rank);
    US_TRY(us_ms_zeros(k, size, (size_t)t->rank, dims, &to));
    for (int64_t r = 0; r < rows && bytes; r++)
        memcpy((char *)to + (size_t)r * bytes,
               (const char *)dense.data + (size_t)(r / o->beams) * bytes, bytes);
    return set(k, &o->in[i], t->dtype, t->rank, dims, to);
}

/* Tokens, their mask (padding in front is none), and where the decoder starts. */
static us_err encoder_inputs(us_eval *k, const us_ms_decoder *o, size_t i_mask,
                             const us_tensor *words, us_value in[3])
{
    const us_p_ms_generate *p = k->params;
    const us_tensor *given = us_eval_opt(k, i_mask);
    const int32_t *w = words->data;
    int64_t len = words->dims[1];
    int32_t *mask, *start;
    if (given && !us_tensor_same_dims(given, words))
        return us_eval_fail(k, US_SHAPE, "attention_mask is not of the shape of input_ids");
    US_TRY(ints(k, o->batch, len, &mask));
    US_TRY(ints(k, o->batch, 1, &start));
    for (int64_t b = 0; b < o->batch; b++) {
        bool begun = false;
        start[b] = (int32_t)p->decoder_start_token_id;
        for (int64_t j = 0; j < len; j++) {
            begun = begun || w[b * len + j] != p->pad_token_id;
            mask[b * len + j] = given ? (int32_t)us_tensor_i64_at(given, b * len + j) : begun;
        }
    }
    US_TRY(set(k, &in[0], US_I32, 2, words->dims, words->data));
    US_TRY(set(k, &in[1], US_I32, 2, words->dims, mask));
    return set(k, &in[2], US_I32, 2, (const int64_t[]){o->batch, 1}, start);
}

/* What the encoder gave: [logits, hidden,] states of the decoder itself, then of the cross attention. */
static us_err from_encoder(us_eval *k, us_ms_decoder *o, us_value *got, const us_tensor *mask)
{
    bool old = o->out != NULL;
    size_t first = old ? 2 : 0, hidden = o->first_past == 3, n = o->n_states;
    US_TRY(repeat(k, o, 1, mask));
    if (hidden) US_TRY(repeat(k, o, 2, &got[1].t));
    for (size_t i = 0; i < n && old; i++)
        US_TRY(put_state(k, o, i, &got[first + i].t, NULL));
    if (old) first += n;
    for (size_t i = 0; i < n; i++)
        US_TRY(repeat(k, o, o->first_past + n + i, &got[first + i].t));
    return US_OK;
}

static us_err t5_forms(us_eval *k, us_ms_decoder *o, const us_graph *e, bool *old)
{
    size_t n_in = o->g->inputs.n;
    const us_type *t;
    o->n_states = o->g->outputs.n ? o->g->outputs.n - 1 : 0;
    *old = e->inputs.n == 3;
    o->first_past = n_in >= 2 * o->n_states ? n_in - 2 * o->n_states : 0;
    if (!o->n_states || o->n_states % 2 || (o->first_past != 2 && o->first_past != 3))
        return us_eval_fail(
            k, US_UNSUPP,
            "the decoder has %zu inputs and %zu outputs; a T5 has ids, mask, perhaps "
            "hidden states, and four states per layer (buffers shared by past and "
            "present are not done)",
            n_in, o->g->outputs.n);
    if ((e->inputs.n != 2 && !*old) ||
        e->outputs.n != (*old ? 2 + 2 * o->n_states : o->n_states) ||
        (!*old && o->first_past == 3))
        return us_eval_fail(
            k, US_ARG,
            "the encoder has %zu inputs and %zu outputs, which the decoder does not fit",
            e->inputs.n, e->outputs.n);
    for (size_t i = 0; i < e->inputs.n; i++)
        US_TRY(declared(k, e, e->inputs.at[i], US_M(I32), 2, &t));
    US_TRY(declared(k, o->g, o->g->inputs.at[1], US_M(I32), 2, &t));
    US_TRY(declared(k, o->g, o->g->inputs.at[0], US_M(I32), 2, &t));
    o->whole = !us_dim_known(t->dims[1]) || t->dims[1].add != 1;
    return US_OK;
}

static us_err open_t5(us_eval *k, us_ms_decoder *o, size_t i_mask, const us_tensor *words)
{
    const us_p_ms_generate *p = k->params;
    us_graph *e = p->encoder;
    us_value *in, *got;
    const us_value **pin, **unused;
    bool old;
    if (!e) return us_eval_fail(k, US_ARG, "a model of type T5 without an encoder");
    if (p->decoder_start_token_id < 0 || p->decoder_start_token_id > INT32_MAX)
        return us_eval_fail(k, US_ARG, "decoder_start_token_id is %lld",
                            (long long)p->decoder_start_token_id);
    US_TRY(t5_forms(k, o, e, &old));
    US_TRY(values(k, US_MAX(e->inputs.n, (size_t)3), &in, &pin));
    US_TRY(values(k, e->outputs.n, &got, &unused));
    US_TRY(encoder_inputs(k, o, i_mask, words, in));
    US_TRY(run(k, e, pin, got));
    for (size_t i = 0; i < e->outputs.n; i++)
        if (got[i].kind != US_KIND_TENSOR)
            return us_eval_fail(k, US_ARG, "the encoder gives what is not a tensor");
    o->out = old ? got : NULL;
    US_TRY(from_encoder(k, o, got, &in[1].t));
    for (int64_t r = 0; r < rows_of(o); r++)
        o->ids[r] = (int32_t)p->decoder_start_token_id;
    US_TRY(set(k, &o->in[0], US_I32, 2, (const int64_t[]){rows_of(o), 1}, o->ids));
    if (old) return US_OK;
    for (size_t i = 0; i < e->outputs.n; i++)
        drop(k, &got[i]);
    return empty_states(k, o);
}

/* --- both -------------------------------------------------------------------------------------------- */

us_err us_ms_decoder_open(us_eval *k, us_ms_decoder *o, size_t i_mask, us_ms_tokens *t)
{
    us_tensor words;
    us_arena *a = k->env->dynamic(k->env, k);
    US_TRY(us_eval_in_dense(k, 0, &words));
    if (words.dtype != US_I32 || words.rank != 2)
        return us_eval_fail(k, US_SHAPE, "input_ids is not an int32 matrix");
    *t = (us_ms_tokens){NULL, rows_of(o), o->start, o->max_length};
    US_TRY(ints(k, t->rows, o->max_length, &t->p));
    US_TRY(ints(k, t->rows, o->max_length, &o->ids));
    US_TRY(values(k, o->g->inputs.n, &o->in, &o->pin));
    o->state = us_new_n(a, us_ms_state, o->g->outputs.n + 1);
    if (!o->state) return us_arena_fail(k->c, a);
    US_TRY(o->model == US_MS_MODEL_GPT ? open_gpt(k, o, i_mask, &words)
                                       : open_t5(k, o, i_mask, &words));
    for (int64_t r = 0; r < t->rows; r++)
        memcpy(t->p + r * t->room, o->ids + r * t->len, (size_t)t->len * sizeof *t->p);
    return US_OK;
}

static us_err take_logits(us_eval *k, us_ms_decoder *o, float **logits, int64_t *vocab)
{
    const us_value *v = &o->out[0];
    const us_tensor *t = &v->t;
    int64_t rows = rows_of(o);
    void *room;
    if (v->kind != US_KIND_TENSOR || t->rank != 3 || !(US_M_FLOATS >> t->dtype & 1) ||
        t->dims[1] < 1 || (t->dims[0] != rows && t->dims[0] != o->batch))
        return us_eval_fail(k, US_SHAPE, "the logits are not [rows, tokens, vocabulary]");
    int64_t wide = t->dims[2], n = o->vocab_size > 0 ? o->vocab_size : wide;
    if (n > wide || n < 2 || n > INT32_MAX || (*vocab && *vocab != n))
        return us_eval_fail(k, US_SHAPE, "logits of %lld words, %lld wanted", (long long)wide,
                            (long long)n);
    us_tensor last = *t; /* of each row */
    last.data = us_at(t, (t->dims[1] - 1) * t->strides[1]);
    last.rank = 2;
    last.dims[1] = n;
    last.strides[1] = t->strides[2];
    if (!*logits) {
        US_TRY(us_ms_zeros(k, sizeof(float), 2, (const int64_t[]){rows, n}, &room));
        *logits = room;
        *vocab = n;
    }
    for (int64_t r = 0; r < rows; r++) {
        us_tensor one = last, to;
        one.data = us_at(&last, (t->dims[0] == rows ? r : r / o->beams) * last.strides[0]);
        one.dims[0] = 1;
        US_TRY(us_tensor_init(k->c, &to, US_F32, 2, one.dims, *logits + r * n));
        US_TRY(t->dtype == US_F32 ? us_tensor_copy(k->c, &to, &one)
                                  : us_tensor_convert(k->c, &to, &one));
    }
    return US_OK;
}

us_err us_ms_decoder_run(us_eval *k, us_ms_decoder *o, float **logits, int64_t *vocab)
{
    const us_value **unused;
    bool given = o->n_runs == 0 && o->out; /* by the encoder */
    us_graph *g = o->n_runs == 0 ? o->first : o->g;
    US_TRY(us_ctx_poll(k->c));
    if (!given) {
        if (!o->out) US_TRY(values(k, o->g->outputs.n, &o->out, &unused));
        US_TRY(run(k, g, o->pin, o->out));
    }
    US_TRY(take_logits(k, o, logits, vocab));
    if (given) { /* its states are with the inputs already */
        for (size_t i = 0; i < 2 + 2 * o->n_states; i++)
            drop(k, &o->out[i]);
        o->out = NULL;
    } else {
        drop(k, &o->out[0]);
    }
    o->n_runs++;
    return US_OK;
}

us_err us_ms_decoder_next(us_eval *k, us_ms_decoder *o, const us_ms_tokens *t,
                          const int64_t *from, const int32_t *token)
{
    const int64_t rows = rows_of(o), len = o->whole ? t->len : 1, dims[] = {rows, len};
    for (size_t i = 0; i < o->n_states && o->out; i++) {
        if (o->out[1 + i].kind != US_KIND_TENSOR)
            return us_eval_fail(k, US_ARG, "the sub-graph gives what is not a tensor");
        US_TRY(put_state(k, o, i, &o->out[1 + i].t, from));
        drop(k, &o->out[1 + i]);
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < len; j++)
            o->ids[r * len + j] = o->whole ? t->p[r * t->room + j] : token[r];
    US_TRY(set(k, &o->in[0], US_I32, 2, dims, o->ids));
    if (o->model != US_MS_MODEL_GPT) return US_OK;
    for (int64_t r = 0; r < rows && o->n_runs > 1; r++)
        o->positions[r]++;
    US_TRY(set(k, &o->in[1], US_I32, 2, dims, o->positions));
    return set_mask(k, o, t->len);
}
