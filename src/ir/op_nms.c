/* ir/op_nms.c - NonMaxSuppression: the best boxes of each class that do not overlap a better one too much.
 *
 * Boxes are taken by falling score (the lower index first among equals), as in ONNX Runtime; a box falls when its
 * intersection over union with a chosen one exceeds the threshold. NaN scores are never chosen.
 */
#include "ir/op_f64.h"

#include <stdlib.h>

/* clang-format off */
static const us_param nms_in[] = {
    {"boxes", '\0', US_M(F32), 0}, {"scores", '\0', US_M(F32), 0},
    {"max_output_boxes_per_class", '\0', US_M(I64), US_P_OPTIONAL}, {"iou_threshold", '\0', US_M(F32), US_P_OPTIONAL},
    {"score_threshold", '\0', US_M(F32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param nms_out[] = {{"selected_indices", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row nms_attrs[] = {
    US_AI(us_p_non_max_suppression, center_point_box, "center_point_box", 0), US_ATTR_END};
const us_schema non_max_suppression_schemas[] = {
    {10, nms_in, nms_out, nms_attrs, sizeof(us_p_non_max_suppression), NULL},
    {11, nms_in, nms_out, nms_attrs, sizeof(us_p_non_max_suppression), NULL},
    {0}};
/* clang-format on */

us_err non_max_suppression_infer(us_infer *k)
{
    us_dim d[2] = {US_DIM(0), US_DIM(3)};
    US_TRY(us_infer_fresh(k, &d[0]));
    return us_infer_out(k, 0, US_I64, 2, d);
}

typedef struct candidate {
    double score;
    int64_t index;
} candidate;

typedef struct box {
    float y0, x0, y1, x1;
} box;

static int falling(const void *a_, const void *b_)
{
    const candidate *a = a_, *b = b_;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static box box_of(const float *p, bool center)
{
    if (center)
        return (box){p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
    return (box){US_MIN(p[0], p[2]), US_MIN(p[1], p[3]), US_MAX(p[0], p[2]),
                 US_MAX(p[1], p[3])};
}

static bool overlap(box a, box b, float threshold)
{
    float h = US_MIN(a.y1, b.y1) - US_MAX(a.y0, b.y0);
    float w = US_MIN(a.x1, b.x1) - US_MAX(a.x0, b.x0);
    float area_a = (a.y1 - a.y0) * (a.x1 - a.x0), area_b = (b.y1 - b.y0) * (b.x1 - b.x0);
    if (!(h > 0) || !(w > 0) || !(area_a > 0) || !(area_b > 0)) return false;
    return h * w / (area_a + area_b - h * w) > threshold;
}

/* Chosen indices of one class into `to`; how many. */
static int64_t choose(const candidate *c, int64_t n, const float *boxes, bool center,
                      float threshold, int64_t most, int64_t *to)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n && m < most; i++) {
        box b = box_of(boxes + c[i].index * 4, center);
        bool good = true;
        for (int64_t j = 0; j < m && good; j++)
            good = !overlap(b, box_of(boxes + to[j] * 4, center), threshold);
        if (good) to[m++] = c[i].index;
    }
    return m;
}

us_err non_max_suppression_eval(us_eval *k)
{
    const us_p_non_max_suppression *p = k->params;
    us_tensor boxes, scores, *y;
    double most_, threshold, least;
    int64_t *found, *to, *one;
    candidate *c;
    void *room;
    US_TRY(us_eval_in_dense(k, 0, &boxes));
    US_TRY(us_eval_in_dense(k, 1, &scores));
    US_TRY(us_eval_scalar(k, 2, 0, &most_));
    US_TRY(us_eval_scalar(k, 3, 0, &threshold));
    US_TRY(us_eval_scalar(k, 4, 0, &least));
    if (boxes.dtype != US_F32 || scores.dtype != US_F32)
        return us_eval_fail(k, US_ARG, "boxes and scores must be float");
    US_TRY(us_eval_want_dims(k, 0, &boxes, 3, (int64_t[]){-1, -1, 4}));
    US_TRY(us_eval_want_dims(k, 1, &scores, 3, (int64_t[]){boxes.dims[0], -1, boxes.dims[1]}));
    if (!(threshold >= 0 && threshold <= 1))
        return us_eval_fail(k, US_ARG, "iou_threshold %g is not from 0 to 1", threshold);
    int64_t n = boxes.dims[1], classes = scores.dims[1], total = 0;
    int64_t most = most_ <= 0 ? 0 : most_ >= (double)n ? n : (int64_t)most_;
    int64_t rows[3] = {boxes.dims[0] * classes, most, 3};
    us_tensor plan;
    US_TRY(us_tensor_init(k->c, &plan, US_I64, 3, rows, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&plan) + 8, &room));
    found = to = room;
    US_TRY(us_eval_scratch(k, (size_t)n * sizeof *c + 8, &room));
    c = room;
    US_TRY(us_eval_scratch(k, (size_t)n * sizeof *one + 8, &room));
    one = room;
    US_TRY(us_eval_work(k, (double)rows[0] * (double)n * (double)(most + 64)));
    bool cut = us_eval_opt(k, 4) != NULL;
    for (int64_t i = 0; i < rows[0]; i++) {
        const float *s = (const float *)scores.data + i * n;
        int64_t m = 0, batch = i / classes;
        for (int64_t j = 0; j < n; j++)
            if (s[j] == s[j] && (!cut || (double)s[j] > least))
                c[m++] = (candidate){(double)s[j], j};
        if (m > 1) qsort(c, (size_t)m, sizeof *c, falling);
        m = choose(c, m, (const float *)boxes.data + batch * n * 4, p->center_point_box != 0,
                   (float)threshold, most, one);
        for (int64_t j = 0; j < m; j++) {
            *to++ = batch;
            *to++ = i % classes;
            *to++ = one[j];
        }
        total += m;
    }
    US_TRY(us_eval_out(k, 0, US_I64, 2, (int64_t[]){total, 3}, &y));
    for (int64_t i = 0; i < total * 3; i++)
        ((int64_t *)y->data)[i] = found[i];
    return US_OK;
}
