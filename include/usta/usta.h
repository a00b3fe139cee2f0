/* usta/usta.h - load an ONNX model, look into it, run it.
 *
 * The engine under the program `usta`, as a C library without dependencies beyond libc, libm and threads. This header includes the
 * others; each of them also compiles alone, in C and in C++:
 *
 *     usta/types.h    version, error codes, strings, tensors, values
 *     usta/env.h      environment: memory, threads, messages, the wish to stop
 *     usta/model.h    reading a model; inputs, outputs, origin
 *     usta/graph.h    its graphs: nodes, attributes, initialisers
 *     usta/session.h  running it; profile
 *
 * A whole program is examples/c/first.c. In short:
 *
 *     usta_env *env;
 *     usta_model *model;
 *     usta_session *session;
 *     usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 64}, .data = pixels};
 *     usta_tensor y;
 *
 *     if (usta_env_new(NULL, &env) != USTA_OK) return 1;
 *     if (usta_model_open(env, "digits.onnx", NULL, &model) != USTA_OK) return puts(usta_env_error(env));
 *     if (usta_session_new(model, NULL, &session) != USTA_OK) return puts(usta_env_error(env));
 *     if (usta_session_run(session, &x, 1, &y, 1) != USTA_OK) return puts(usta_session_error(session));
 *     ... ((float *)y.data)[0] ...
 *     usta_session_free(session);
 *     usta_model_free(model);
 *     usta_env_free(env);
 *
 * Errors: every call that can fail returns a usta_err and leaves its results untouched on failure. One sentence about what was
 * found and what was expected is kept in the environment or the session; functions that only look keep none. A wrong argument is an
 * error, not a crash: NULL, an index out of range, a struct whose size was not set. Pointers that point nowhere cannot be told.
 *
 * Threading: an environment, and opening and planning in it, belong to one thread at a time; a model may be looked at from any; a
 * session belongs to one thread at a time. Free sessions before their model, models before their environment.
 *
 * Not here: training, data, serving (the program does those).
 *
 * Versions: before 1.0 this interface may change between minor versions; CHANGELOG says so. Structs that may grow carry their size
 * (usta/types.h).
 */
#ifndef USTA_USTA_H
#define USTA_USTA_H

#include "usta/env.h"
#include "usta/graph.h"
#include "usta/model.h"
#include "usta/session.h"
#include "usta/types.h"

#endif
