/* first.c - load a model, run it on one row of numbers from standard input, print what comes out.
 * cc first.c $(pkg-config --cflags --libs usta) -o first && echo 0 0 5 13 | ./first MODEL.onnx */
#include <stdio.h>
#include <usta/usta.h>

int main(int argc, char **argv)
{
    usta_env *env = NULL;
    usta_model *model = NULL;
    usta_session *session = NULL;
    float row[4096];
    usta_tensor x = {USTA_TYPE_FLOAT, 2, {1, 0}, row}, y[8]; /* x is [1,0]: no numbers yet */

    while (x.dims[1] < 4096 && scanf("%f%*[ ,]", &row[x.dims[1]]) == 1)
        x.dims[1]++;
    if (argc != 2 || usta_env_new(NULL, &env) != USTA_OK) return 2;
    usta_err e = usta_model_open(env, argv[1], NULL, &model);
    if (e == USTA_OK) e = usta_session_new(model, NULL, &session);
    if (e != USTA_OK) fprintf(stderr, "first: %s\n", usta_env_error(env));
    size_t n_out = usta_model_n_outputs(model);
    if (e == USTA_OK) e = n_out > 8 ? USTA_LIMIT : usta_session_run(session, &x, 1, y, n_out);
    if (session && e != USTA_OK) fprintf(stderr, "first: %s\n", usta_session_error(session));
    for (size_t i = 0; e == USTA_OK && i < n_out; i++) {
        usta_value_info info;
        info.struct_size = sizeof info;
        if (usta_model_output(model, i, &info) == USTA_OK) printf("%s:", info.name);
        for (int64_t k = 0; k < usta_tensor_count(&y[i]); k++)
            if (y[i].type == USTA_TYPE_FLOAT)
                printf(" %.5f", ((float *)y[i].data)[k]);
            else if (y[i].type == USTA_TYPE_INT64)
                printf(" %d", (int)((int64_t *)y[i].data)[k]);
        puts("");
    }
    usta_session_free(session);
    usta_model_free(model);
    usta_env_free(env);
    return e != USTA_OK;
}
