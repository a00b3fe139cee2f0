/* run_model.c - the C API in one page: open a model, fill its inputs, run it, print what comes out.
 *
 *     cc run_model.c $(pkg-config --cflags --libs usta) -o run_model
 *     ./run_model MODEL.onnx
 *
 * Inputs are filled with ones; dimensions that the model leaves open become 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <usta/usta.h>

#define MAX_ENDS 16

/* A tensor of ones for input i; its data belongs to the caller. Returns 0 when the type is not float. */
static int make_input(const usta_model *model, size_t i, usta_tensor *x)
{
    usta_value_info info = {.struct_size = sizeof info};
    if (usta_model_input(model, i, &info) != USTA_OK || info.type != USTA_TYPE_FLOAT ||
        info.rank < 0)
        return 0;
    *x = (usta_tensor){.type = info.type, .rank = info.rank};
    for (int d = 0; d < info.rank; d++)
        x->dims[d] = info.dims[d] < 0 ? 1 : info.dims[d];
    size_t n = usta_tensor_bytes(x) / sizeof(float);
    float *data = malloc((n ? n : 1) * sizeof *data);
    if (!data) return 0;
    for (size_t k = 0; k < n; k++)
        data[k] = 1;
    x->data = data;
    printf("input  %s: %s, %zu elements\n", info.name, usta_type_name(info.type), n);
    return 1;
}

static void print_output(const usta_model *model, size_t i, const usta_tensor *y)
{
    usta_value_info info = {.struct_size = sizeof info};
    if (usta_model_output(model, i, &info) != USTA_OK) return;
    printf("output %s: %s[", info.name, usta_type_name(y->type));
    for (int d = 0; d < y->rank; d++)
        printf("%s%lld", d ? "," : "", (long long)y->dims[d]);
    printf("]");
    size_t n = usta_tensor_bytes(y) / sizeof(float);
    for (size_t k = 0; y->type == USTA_TYPE_FLOAT && k < n && k < 10; k++)
        printf(" %g", (double)((const float *)y->data)[k]);
    printf("\n");
}

int main(int argc, char **argv)
{
    usta_env *env = NULL;
    usta_model *model = NULL;
    usta_session *session = NULL;
    usta_tensor in[MAX_ENDS], out[MAX_ENDS];
    size_t n_in = 0, n_out = 0;
    int status = 1;

    memset(in, 0, sizeof in);
    if (argc != 2) {
        fprintf(stderr, "usage: run_model MODEL.onnx\n");
        return 2;
    }
    if (usta_env_new(NULL, &env) != USTA_OK) return 1;
    if (usta_model_open(env, argv[1], &model) != USTA_OK ||
        usta_session_new(model, NULL, &session) != USTA_OK) {
        fprintf(stderr, "%s\n", usta_env_error(env));
        goto out;
    }
    n_out = usta_model_n_outputs(model);
    if (usta_model_n_inputs(model) > MAX_ENDS || n_out > MAX_ENDS) {
        fprintf(stderr, "more than %d inputs or outputs\n", MAX_ENDS);
        goto out;
    }
    for (; n_in < usta_model_n_inputs(model); n_in++)
        if (!make_input(model, n_in, &in[n_in])) {
            fprintf(stderr, "input %zu is not a float tensor\n", n_in);
            goto out;
        }
    if (usta_session_run(session, in, n_in, out, n_out) != USTA_OK) {
        fprintf(stderr, "%s\n", usta_session_error(session));
        goto out;
    }
    for (size_t i = 0; i < n_out; i++)
        print_output(model, i, &out[i]);
    status = 0;
out:
    for (size_t i = 0; i < n_in; i++)
        free(in[i].data);
    usta_session_free(session);
    usta_model_free(model);
    usta_env_free(env);
    return status;
}
