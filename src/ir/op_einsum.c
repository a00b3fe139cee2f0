/* ir/op_einsum.c - Einsum.
 *
 * Labels are numbers: 0..51 the letters in the order of their codes, 52.. the dimensions under "..." (aligned at the
 * right). Operands are taken one after the other: what only one of them knows is summed first, then it is multiplied
 * into what there is so far and every label that nobody needs any more is summed in the same loop. The cost of a step
 * is the product of the sizes of the labels of its two operands. Sums run in double or int64.
 * Where the standard is silent (a size 1 against a larger one) NumPy is followed: it broadcasts.
 */
#include "ir/op_util.h"

#include <string.h>

/* clang-format off */
static const us_param einsum_in[] = {{"Inputs", 'T', US_M_NUM, US_P_VARIADIC}, US_PARAM_END};
static const us_param einsum_out[] = {{"Output", 'T', US_M_NUM, 0}, US_PARAM_END};
static const us_attr_row einsum_attrs[] = {
    {.name = "equation", .kind = US_AT_STRING, .offset = offsetof(us_p_einsum, equation), .required = true}, US_ATTR_END};
const us_schema einsum_schemas[] = {{12, einsum_in, einsum_out, einsum_attrs, sizeof(us_p_einsum), NULL}, {0}};
/* clang-format on */

enum { N_LETTERS = 52, N_LABELS = N_LETTERS + US_MAX_RANK, MAX_OPERANDS = 32 };
#define POLL_RUNS 4096 /* inner loops between looks at the caller's wish to stop */

typedef struct term {
    int n;
    uint8_t label[US_MAX_RANK];
} term;

typedef struct equation {
    size_t n;
    term in[MAX_OPERANDS], out;
} equation;

/* --- reading ----------------------------------------------------------------------------------------- */

static int letter(char ch)
{
    if (ch >= 'A' && ch <= 'Z') return ch - 'A';
    if (ch >= 'a' && ch <= 'z') return ch - 'a' + 26;
    return -1;
}

static const char *add_label(term *t, int label)
{
    if (t->n == US_MAX_RANK) return "equation: a term has too many labels";
    t->label[t->n++] = (uint8_t)label;
    return NULL;
}

/* One term of the text, with n_dots dimensions under its dots; NULL, or what is wrong with it. */
static const char *read_term(us_sv s, int n_dots, term *t)
{
    const char *bad = NULL;
    bool dots = false;
    *t = (term){0};
    for (size_t i = 0; i < s.n && !bad; i++) {
        if (s.p[i] == ' ') continue;
        if (s.n - i >= 3 && memcmp(s.p + i, "...", 3) == 0) {
            if (dots) return "equation: a term has dots twice";
            dots = true;
            for (int d = 0; d < n_dots && !bad; d++)
                bad = add_label(t, N_LABELS - n_dots + d);
            i += 2;
        } else {
            if (letter(s.p[i]) < 0) return "equation: expected letters, '...', ',' and '->'";
            bad = add_label(t, letter(s.p[i]));
        }
    }
    return bad;
}

static us_sv next_term(us_sv *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != ',')
        n++;
    us_sv t = {rest->p, n};
    *rest = n < rest->n ? (us_sv){rest->p + n + 1, rest->n - n - 1} : (us_sv){"", 0};
    return t;
}

static bool has_dots(us_sv s)
{
    return memchr(s.n ? s.p : "", '.', s.n) != NULL;
}

/* Without "->": the dots, then every letter that occurs once, in order. */
static const char *implicit_output(equation *q, int n_dots)
{
    int seen[N_LABELS] = {0};
    const char *bad = NULL;
    for (size_t i = 0; i < q->n; i++)
        for (int j = 0; j < q->in[i].n; j++)
            seen[q->in[i].label[j]]++;
    for (int d = 0; d < n_dots && !bad; d++)
        bad = add_label(&q->out, N_LABELS - n_dots + d);
    for (int l = 0; l < N_LETTERS && !bad; l++)
        if (seen[l] == 1) bad = add_label(&q->out, l);
    return bad;
}

static const char *check_output(const equation *q)
{
    bool known[N_LABELS] = {false};
    for (size_t i = 0; i < q->n; i++)
        for (int j = 0; j < q->in[i].n; j++)
            known[q->in[i].label[j]] = true;
    for (int j = 0; j < q->out.n; j++) {
        if (!known[q->out.label[j]])
            return "equation: the output has a label that no input has, or has one twice";
        known[q->out.label[j]] = false;
    }
    return NULL;
}

/* The equation for operands of these ranks; NULL, or what is wrong. */
static const char *read_equation(us_sv text, size_t n, const int *ranks, equation *q)
{
    size_t arrow = 0;
    int most_dots = 0;
    const char *bad = NULL;
    *q = (equation){.n = n};
    while (arrow + 1 < text.n && (text.p[arrow] != '-' || text.p[arrow + 1] != '>'))
        arrow++;
    bool explicit = arrow + 1 < text.n;
    us_sv left = {text.p, explicit ? arrow : text.n}, rest = left;
    size_t terms = 1;
    for (size_t i = 0; i < left.n; i++)
        terms += left.p[i] == ',';
    if (terms != n || n > MAX_OPERANDS) return "equation: one term for each input is needed";
    for (size_t i = 0; i < n && !bad; i++) {
        us_sv s = next_term(&rest);
        bad = read_term(s, 0, &q->in[i]);
        if (bad) break;
        int dots = ranks[i] - q->in[i].n;
        if (dots < 0 || (dots > 0 && !has_dots(s)))
            return "equation: a term does not have as many labels as its input has dimensions";
        most_dots = US_MAX(most_dots, dots);
        bad = read_term(s, dots, &q->in[i]);
    }
    if (bad) return bad;
    if (!explicit) bad = implicit_output(q, most_dots);
    if (explicit)
        bad = read_term((us_sv){text.p + arrow + 2, text.n - arrow - 2}, most_dots, &q->out);
    return bad ? bad : check_output(q);
}

/* --- inference --------------------------------------------------------------------------------------- */

us_err einsum_infer(us_infer *k)
{
    const us_p_einsum *p = k->params;
    size_t n = us_infer_n_in(k);
    int ranks[MAX_OPERANDS] = {0};
    equation q;
    us_dim size[N_LABELS], d[US_MAX_RANK];
    bool known[N_LABELS] = {false};
    if (n > MAX_OPERANDS) return us_infer_fail(k, US_UNSUPP, "more than 32 inputs");
    for (size_t i = 0; i < n; i++) {
        const us_type *x = us_infer_ranked(k, i);
        if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
        ranks[i] = x->rank;
    }
    const char *bad = read_equation(p->equation, n, ranks, &q);
    if (bad) return us_infer_fail(k, US_ARG, bad);
    for (size_t i = 0; i < n; i++) {
        const us_type *x = us_infer_ranked(k, i);
        for (int j = 0; j < q.in[i].n; j++) {
            int l = q.in[i].label[j];
            bool one = known[l] && us_dim_known(size[l]) && size[l].add == 1;
            if (!known[l] || one) size[l] = x->dims[j];
            known[l] = true;
        }
    }
    for (int j = 0; j < q.out.n; j++)
        d[j] = size[q.out.label[j]];
    return us_infer_out(k, 0, US_DT_NONE, q.out.n, d);
}

/* --- evaluation -------------------------------------------------------------------------------------- */

/* An operand under way: numbers in double or int64, by label the stride (0: it does not vary). */
typedef struct factor {
    void *data;
    int64_t stride[N_LABELS];
    bool has[N_LABELS];
} factor;

/* A loop over some labels: sizes and both operands' strides, outermost first. */
typedef struct nest {
    int n;
    int64_t size[N_LABELS], a[N_LABELS], b[N_LABELS], at[N_LABELS];
} nest;

static void nest_add(nest *q, int64_t size, int64_t a, int64_t b)
{
    if (size == 1) return;
    q->size[q->n] = size;
    q->a[q->n] = a;
    q->b[q->n++] = b;
}

/* Next index of the outer `n` levels: moves both offsets; false after the last. */
static bool nest_next(nest *q, int n, int64_t *a, int64_t *b)
{
    for (int i = n - 1; i >= 0; i--) {
        *a += q->a[i];
        *b += q->b[i];
        if (++q->at[i] < q->size[i]) return true;
        *a -= q->a[i] * q->size[i];
        *b -= q->b[i] * q->size[i];
        q->at[i] = 0;
    }
    return false;
}

#define SUM(name, T, ADD, MUL)                                                                 \
    static void name(void *y, int64_t at, const void *pa, const void *pb, int64_t n,           \
                     int64_t sa, int64_t sb)                                                   \
    {                                                                                          \
        const T *a = pa, *b = pb;                                                              \
        T s = ((T *)y)[at];                                                                    \
        for (int64_t i = 0; i < n; i++)                                                        \
            s = ADD(s, MUL(a[i * sa], b[i * sb]));                                             \
        ((T *)y)[at] = s;                                                                      \
    }
#define PLUS(a, b)       ((a) + (b))
#define TIMES(a, b)      ((a) * (b))
#define WRAP_PLUS(a, b)  ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define WRAP_TIMES(a, b) ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
SUM(sum_f64, double, PLUS, TIMES)
SUM(sum_i64, int64_t, WRAP_PLUS, WRAP_TIMES)

/* Each of the elements of y (row-major over the kept labels) gets its sum over the others. */
static us_err multiply(us_eval *k, bool real, void *y, const factor *a, const factor *b,
                       nest *keep, nest *over)
{
    int64_t oa = 0, ob = 0, at = 0;
    uint64_t runs = 0;
    int inner = over->n - 1;
    int64_t n = over->n ? over->size[inner] : 1, sa = over->n ? over->a[inner] : 0,
            sb = over->n ? over->b[inner] : 0;
    do {
        int64_t ia = oa, ib = ob;
        do {
            if (++runs % POLL_RUNS == 0) US_TRY(us_ctx_poll(k->c));
            (real ? sum_f64 : sum_i64)(y, at, (const char *)a->data + ia * 8,
                                       (const char *)b->data + ib * 8, n, sa, sb);
        } while (nest_next(over, inner, &ia, &ib));
        at++;
    } while (nest_next(keep, keep->n, &oa, &ob));
    return US_OK;
}

/* out = a times b, summed over the labels that are in neither `wanted` list. */
static us_err contract(us_eval *k, bool real, const factor *a, const factor *b,
                       const bool *wanted, const int64_t *size, factor *out)
{
    nest keep = {0}, over = {0};
    double work = 1;
    int64_t count = 1;
    bool empty = false;
    *out = (factor){0};
    for (int l = N_LABELS - 1; l >= 0; l--) {
        if (!(a->has[l] || b->has[l]) || !wanted[l]) continue;
        out->has[l] = true;
        out->stride[l] = size[l] == 1 ? 0 : count;
        if (size[l] && count > US_MAX_ELEMENTS / size[l])
            return us_eval_fail(k, US_LIMIT, "an intermediate product is too large");
        count *= size[l];
    }
    for (int l = 0; l < N_LABELS; l++) {
        if (!a->has[l] && !b->has[l]) continue;
        nest_add(wanted[l] ? &keep : &over, size[l], a->stride[l], b->stride[l]);
        empty = empty || size[l] == 0;
        work *= (double)size[l];
    }
    US_TRY(us_eval_work(k, work));
    US_TRY(us_eval_scratch(k, (size_t)count * 8, &out->data));
    memset(out->data, 0, (size_t)count * 8);
    return empty ? US_OK : multiply(k, real, out->data, a, b, &keep, &over);
}

/* Sizes of all labels: equal in all operands, or 1. */
static us_err sizes(us_eval *k, const equation *q, int64_t *size)
{
    for (int l = 0; l < N_LABELS; l++)
        size[l] = 1;
    for (size_t i = 0; i < q->n; i++) {
        const us_tensor *x = &k->in[i]->t;
        for (int j = 0; j < q->in[i].n; j++) {
            int l = q->in[i].label[j];
            if (size[l] == 1) size[l] = x->dims[j];
            if (x->dims[j] != 1 && x->dims[j] != size[l])
                return us_eval_fail(k, US_SHAPE, "a label stands for %lld and for %lld",
                                    (long long)size[l], (long long)x->dims[j]);
        }
    }
    return US_OK;
}

/* Operand i as numbers; a label that it has twice walks its diagonal. */
static us_err operand(us_eval *k, const equation *q, size_t i, bool real, factor *out)
{
    us_tensor t;
    *out = (factor){0};
    US_TRY(us_eval_as(k, &k->in[i]->t, real ? US_F64 : US_I64, &t));
    out->data = t.data;
    for (int j = 0; j < q->in[i].n; j++) {
        out->has[q->in[i].label[j]] = true;
        if (t.dims[j] != 1) out->stride[q->in[i].label[j]] += t.strides[j];
    }
    return US_OK;
}

/* Labels of the output and of the operands from `from` on. */
static void wanted_from(const equation *q, size_t from, bool *wanted)
{
    memset(wanted, 0, N_LABELS * sizeof *wanted);
    for (int j = 0; j < q->out.n; j++)
        wanted[q->out.label[j]] = true;
    for (size_t i = from; i < q->n; i++)
        for (int j = 0; j < q->in[i].n; j++)
            wanted[q->in[i].label[j]] = true;
}

/* Multiplies operand i into acc. What nobody else knows is summed beforehand. */
static us_err take_operand(us_eval *k, const equation *q, size_t i, bool real,
                           const factor *one, const int64_t *size, factor *acc)
{
    factor x, y;
    bool wanted[N_LABELS], alone = false;
    US_TRY(operand(k, q, i, real, &x));
    wanted_from(q, i + 1, wanted);
    for (int l = 0; l < N_LABELS; l++)
        alone = alone || (x.has[l] && !wanted[l] && !acc->has[l]);
    if (alone) {
        bool mine[N_LABELS];
        for (int l = 0; l < N_LABELS; l++)
            mine[l] = wanted[l] || acc->has[l];
        US_TRY(contract(k, real, one, &x, mine, size, &y));
        x = y;
    }
    US_TRY(contract(k, real, acc, &x, wanted, size, &y));
    *acc = y;
    return US_OK;
}

us_err einsum_eval(us_eval *k)
{
    const us_p_einsum *p = k->params;
    int ranks[MAX_OPERANDS] = {0};
    equation q;
    int64_t size[N_LABELS], dims[US_MAX_RANK], one_i = 1;
    double one_f = 1;
    us_tensor view, *y;
    if (k->n_in == 0 || k->n_in > MAX_OPERANDS)
        return us_eval_fail(k, US_UNSUPP, "%zu inputs", k->n_in);
    us_dtype t = US_DT_NONE;
    for (size_t i = 0; i < k->n_in; i++) {
        const us_tensor *x;
        US_TRY(us_eval_in(k, i, &x));
        ranks[i] = x->rank;
        if (i && x->dtype != t) return us_eval_fail(k, US_ARG, "inputs differ in type");
        t = x->dtype;
    }
    uint8_t cls = us_dtype_get(t)->cls;
    bool real = cls == US_DC_FLOAT;
    if (!real && cls != US_DC_INT && cls != US_DC_UINT) return us_eval_no_type(k, t);
    const char *bad = read_equation(p->equation, k->n_in, ranks, &q);
    if (bad) return us_eval_fail(k, US_ARG, "%s", bad);
    US_TRY(sizes(k, &q, size));
    factor one = {.data = real ? (void *)&one_f : (void *)&one_i}, acc = one;
    for (size_t i = 0; i < q.n; i++)
        US_TRY(take_operand(k, &q, i, real, &one, size, &acc));
    for (int j = 0; j < q.out.n; j++)
        dims[j] = size[q.out.label[j]];
    US_TRY(us_tensor_init(k->c, &view, real ? US_F64 : US_I64, q.out.n, dims, acc.data));
    for (int j = 0; j < q.out.n; j++)
        view.strides[j] = acc.stride[q.out.label[j]];
    US_TRY(us_eval_out(k, 0, t, q.out.n, dims, &y));
    return t == view.dtype ? us_tensor_copy(k->c, y, &view) : us_tensor_convert(k->c, y, &view);
}

/* --- expansion --------------------------------------------------------------------------------------- */

/* The same steps with products of matrices: [both, left, summed] x [both, summed, right]; where nothing is summed, an
 * elementwise product. */
typedef struct writer {
    const us_graph *g;
    us_nid n;
    const equation *q;
    us_expand_buf b;
} writer;

static bool has_label(const term *t, int l)
{
    for (int j = 0; j < t->n; j++)
        if (t->label[j] == l) return true;
    return false;
}

/* Whether the output or an operand from `from` on has the label. */
static bool wanted_later(const writer *w, size_t from, int l)
{
    for (size_t i = from; i < w->q->n; i++)
        if (has_label(&w->q->in[i], l)) return true;
    return has_label(&w->q->out, l);
}

/* The size of a label, -1 when not known; *where: an operand and dimension that have it. */
static int64_t label_size(const writer *w, int l, size_t *operand, int *at)
{
    for (size_t i = w->q->n; i-- > 0;)
        for (int j = 0; j < w->q->in[i].n; j++) {
            if (w->q->in[i].label[j] != l) continue;
            *operand = i;
            *at = j;
            if (us_expand_dim(w->g, w->n, i, j) >= 0) return us_expand_dim(w->g, w->n, i, j);
        }
    return -1;
}

/* Operands of the same label must have the same size: a 1 against more would need a product that broadcasts. */
static bool sizes_agree(const writer *w)
{
    size_t operand;
    int at;
    for (size_t i = 0; i < w->q->n; i++)
        for (int j = 0; j < w->q->in[i].n; j++) {
            int64_t d = us_expand_dim(w->g, w->n, i, j);
            if (d >= 0 && d != label_size(w, w->q->in[i].label[j], &operand, &at)) return false;
        }
    return true;
}

/* The sizes of some labels as one int64 vector each, and a comma behind; their product as one when `product`. */
static void write_sizes(writer *w, const term *t, bool product)
{
    size_t operand = 0;
    int at = 0;
    if (product && t->n == 0) us_expand_add(&w->b, "[1],");
    for (int j = 0; product && j + 1 < t->n; j++)
        us_expand_add(&w->b, "Mul(");
    for (int j = 0; j < t->n; j++) {
        int64_t d = label_size(w, t->label[j], &operand, &at);
        if (d >= 0)
            us_expand_add(&w->b, "[%lld]", (long long)d);
        else
            us_expand_add(&w->b, "Shape<start=%d,end=%d>(x%zu)", at, at + 1, operand);
        us_expand_add(&w->b, product && j ? ")," : ",");
    }
}

/* `name` with its labels in this order. */
static void write_order(writer *w, char name, term *t, const term *order)
{
    bool same = true;
    for (int j = 0; j < t->n; j++)
        same = same && t->label[j] == order->label[j];
    if (same) return;
    us_expand_add(&w->b, "%c = Transpose<perm=[", name);
    for (int j = 0; j < order->n; j++)
        for (int i = 0; i < t->n; i++)
            if (t->label[i] == order->label[j]) us_expand_add(&w->b, "%d,", i);
    us_expand_add(&w->b, "]>(%c);", name);
    *t = *order;
}

static void write_sum(writer *w, char name, term *t, int at)
{
    us_expand_add(&w->b, "%c = ReduceSum<keepdims=0>(%c, [%d]);", name, name, at);
    t->n--;
    memmove(t->label + at, t->label + at + 1, (size_t)(t->n - at));
}

/* Operand i as `name`: of a label it has twice, the diagonal. */
static void write_operand(writer *w, char name, size_t i, int type, term *t)
{
    *t = w->q->in[i];
    us_expand_add(&w->b, "%c = Cast<to=%d>(x%zu);", name, type, i);
    for (int j = t->n - 1; j > 0; j--)
        for (int first = 0; first < j; first++) {
            if (t->label[first] != t->label[j]) continue;
            us_expand_add(
                &w->b, "r = Range(#0, Gather(Shape(%c), #%d), #1); d = Equal(Unsqueeze(r, %s),",
                name, j, us_expand_axes_text(1, j - first + 1).text);
            us_expand_add(&w->b, " r); %c = Where(Unsqueeze(d, %s), %c, 0@%d);", name,
                          us_expand_axes_text(j - first + 1, t->n - first).text, name, type);
            write_sum(w, name, t, j);
            break;
        }
}

/* Sums away what neither `other` nor anything from operand `from` on has. */
static void write_alone(writer *w, char name, term *t, const term *other, size_t from)
{
    for (int j = t->n - 1; j >= 0; j--)
        if (!(other && has_label(other, t->label[j])) && !wanted_later(w, from, t->label[j]))
            write_sum(w, name, t, j);
}

static bool join_terms(term *out, const term *a, const term *b, const term *c)
{
    const term *all[] = {a, b, c};
    *out = (term){0};
    for (size_t i = 0; i < 3; i++)
        for (int j = 0; all[i] && j < all[i]->n; j++)
            if (add_label(out, all[i]->label[j])) return false;
    return true;
}

/* a = a times b, labels that nobody wants any more summed; false: too many dimensions. */
static bool write_pair(writer *w, term *a, term *b, size_t next)
{
    term both = {0}, left = {0}, summed = {0}, right = {0}, order;
    for (int j = 0; j < a->n; j++) {
        bool shared = has_label(b, a->label[j]), kept = wanted_later(w, next, a->label[j]);
        (void)add_label(!shared ? &left : kept ? &both : &summed, a->label[j]);
    }
    for (int j = 0; j < b->n; j++)
        if (!has_label(a, b->label[j])) (void)add_label(&right, b->label[j]);
    if (!join_terms(&order, &both, &left, &summed)) return false;
    write_order(w, 'a', a, &order);
    if (!join_terms(&order, &both, &summed, &right)) return false;
    write_order(w, 'b', b, &order);
    if (!join_terms(a, &both, &left, &right)) return false;
    if (summed.n == 0) {
        us_expand_add(&w->b, "a = Mul(Unsqueeze(a, %s),",
                      us_expand_axes_text(both.n + left.n, a->n).text);
        us_expand_add(&w->b, " Unsqueeze(b, %s));",
                      us_expand_axes_text(both.n, both.n + left.n).text);
        return true;
    }
    us_expand_add(&w->b, "a = Reshape<allowzero=1>(a, Concat<axis=0>(");
    write_sizes(w, &both, false);
    write_sizes(w, &left, true);
    write_sizes(w, &summed, true);
    us_expand_add(&w->b, ")); b = Reshape<allowzero=1>(b, Concat<axis=0>(");
    write_sizes(w, &both, false);
    write_sizes(w, &summed, true);
    write_sizes(w, &right, true);
    us_expand_add(&w->b, ")); a = MatMul(a, b);");
    if (left.n == 1 && right.n == 1) return true;
    us_expand_add(&w->b, "a = Reshape<allowzero=1>(a, Concat<axis=0>([],");
    write_sizes(w, a, false);
    us_expand_add(&w->b, "));");
    return true;
}

us_err einsum_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_einsum *p = g->nodes.at[n].params;
    int ranks[MAX_OPERANDS];
    size_t n_in = g->nodes.at[n].n_in;
    equation q;
    writer w = {.g = g, .n = n, .q = &q};
    term a, b;
    us_dtype t = us_expand_dtype(g, n, 0), work = t;
    if (n_in > MAX_OPERANDS || t == US_DT_NONE)
        return us_expand_refuse(c, g, n, "the type of its input is not known");
    if (us_is_half(t)) work = US_F32;
    if (us_dtype_get(t)->cls != US_DC_FLOAT && us_dtype_get(t)->bits < 32) work = US_I64;
    for (size_t i = 0; i < n_in; i++) {
        ranks[i] = us_expand_rank(g, n, i);
        if (ranks[i] < 0) return us_expand_refuse(c, g, n, "the rank of an input is not known");
    }
    const char *wrong = read_equation(p->equation, n_in, ranks, &q);
    if (wrong || !sizes_agree(&w))
        return us_expand_refuse(c, g, n, wrong ? wrong : "sizes that broadcast");
    write_operand(&w, 'a', 0, (int)work, &a);
    for (size_t i = 1; i < n_in; i++) {
        write_operand(&w, 'b', i, (int)work, &b);
        write_alone(&w, 'a', &a, &b, i + 1);
        write_alone(&w, 'b', &b, &a, i + 1);
        if (!write_pair(&w, &a, &b, i + 1))
            return us_expand_refuse(c, g, n, "a step has too many dimensions");
    }
    write_alone(&w, 'a', &a, NULL, n_in);
    write_order(&w, 'a', &a, &q.out);
    us_expand_add(&w.b, "y = Cast<to=@x0>(a)");
    return us_expand_buffer(c, m, g, n, &w.b);
}
