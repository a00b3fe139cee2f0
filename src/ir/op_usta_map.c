/* ir/op_usta_map.c - usta.Map: many elementwise operators in one pass over memory (made by the pass fuse-map). */
#include "ir/ewise.h"
#include "ir/op_util.h"

/* clang-format off */
static const us_param map_in[] = {
    {"X", 'T', US_M(F32) | US_M(BOOL), US_P_VARIADIC | US_P_HETERO}, US_PARAM_END};
static const us_param map_out[] = {{"Y", 'U', US_M(F32) | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row map_attrs[] = {
    US_AIS(us_p_usta_map, code, "code"), US_AFS(us_p_usta_map, imm, "imm"),
    US_AI(us_p_usta_map, truth, "truth", 0), US_ATTR_END};
const us_schema usta_map_schemas[] = {
    {1, map_in, map_out, map_attrs, sizeof(us_p_usta_map), NULL},
    {0}};
/* clang-format on */

us_err usta_map_infer(us_infer *k)
{
    const us_p_usta_map *p = k->params;
    US_TRY(us_infer_broadcast(k));
    return us_infer_out(k, 0, p->truth ? US_BOOL : US_F32, -1, NULL);
}

bool us_ew_of_map(const void *params, size_t n_in, us_ew_prog *out)
{
    const us_p_usta_map *p = params;
    return us_ew_read(n_in, p->code.n, p->code.p, p->imm.n, p->imm.p, out);
}
