/* cli/inputs.c - the inputs of one run, from what the command line says. */
#include "cli/inputs.h"

#include <string.h>

#include "cli/models.h"
#include "cli/tensors.h"

static us_err read_given(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                         const char *text, us_value *in, bool *have)
{
    const char *eq = strchr(text, '=');
    size_t i;
    us_pictures pics;
    if (!eq) return us_fail(c, US_ARG, "-i %s: expected NAME=FILE", text);
    us_sv name = {text, (size_t)(eq - text)};
    US_TRY(us_input_find(c, p, name, &i));
    if (have[i]) return us_fail(c, US_ARG, "-i %s: this input is given twice", text);
    have[i] = true;
    const us_type *type = us_plan_input_type(p, i);
    if (!us_pictures_given(eq + 1)) return us_value_file_read(c, a, eq + 1, type, &in[i]);
    US_TRY(us_pictures_open(c, a, name, type, eq + 1, args->images, &pics));
    if (us_pictures_n_runs(&pics) > 1)
        return us_fail(c, US_ARG, "-i %s: pictures for more than one run; give one picture",
                       text);
    return us_pictures_read(c, a, &pics, 0, &in[i]);
}

us_err us_inputs_fill(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                      us_value **out)
{
    size_t n = us_plan_n_inputs(p);
    us_tensor t;
    us_value *in = us_new_n(a, us_value, n);
    bool *have = us_new_n(a, bool, n);
    if (!in || !have) return us_arena_fail(c, a);
    for (size_t i = 0; i < args->in.n; i++)
        US_TRY(read_given(c, a, p, args, args->in.at[i], in, have));
    for (size_t i = 0; i < n; i++) {
        us_sv name = us_plan_input_name(p, i);
        if (have[i]) continue;
        if (!args->random)
            return us_fail(c, US_ARG,
                           "input '" US_SV_FMT "' is missing: give -i " US_SV_FMT
                           "=FILE.npy, or --random",
                           US_SV_ARG(name), US_SV_ARG(name));
        US_TRY(us_tensor_random(c, a, us_plan_input_type(p, i), name, (uint64_t)args->seed, i,
                                &t));
        in[i] = us_value_of(&t);
    }
    *out = in;
    return US_OK;
}
