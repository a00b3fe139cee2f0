/* train/net.h - what the folder shares about networks: memory, first weights, nodes, prediction. */
#ifndef USTA_TRAIN_NET_H
#define USTA_TRAIN_NET_H

#include "exec/session.h"
#include "train/train.h"

/* Layers of these sizes, zeroed, in the arena. hidden: n_hidden sizes. */
us_err us_net_new(us_ctx *c, us_arena *a, us_task task, us_family family, us_act act,
                  size_t n_features, size_t n_out, size_t n_hidden, const int64_t *hidden,
                  us_net *out) US_MUST;
void us_net_copy(us_net *to, const us_net *from); /* numbers only; same sizes */
size_t us_net_n_values(const us_net *n);
/* All numbers as one array, layer by layer, weights then bias. */
void us_net_flatten(const us_net *n, float *out);
void us_net_unflatten(us_net *n, const float *in);
bool us_net_finite(const us_net *n);

/* First weights: normal with deviation sqrt(2 / n_in) (He) or sqrt(2 / (n_in + n_out)) (Glorot), the last layer always
 * Glorot; biases 0. Layer i draws from stream (seed, "init", i). */
void us_net_init(us_net *n, us_init init, uint64_t seed);

/* The nodes from features [N,D] to the last layer's output [N, n_out]; w[i], b[i] are the layers' values in the graph.
 * mask: per hidden layer a value [N, units] to multiply with (dropout), or NULL. */
us_vid us_net_nodes(us_builder *b, const us_net *net, us_vid x, const us_vid *w,
                    const us_vid *bias, const us_vid *mask);

/* A session that computes a network's answers; its weights can be changed. */
typedef struct us_net_predictor us_net_predictor;
us_err us_net_predictor_new(us_ctx *c, const us_net *net, us_net_predictor **out) US_MUST;
void us_net_predictor_free(us_ctx *c, us_net_predictor *p); /* NULL is fine */
us_err us_net_predictor_set(us_ctx *c, us_net_predictor *p,
                            const us_net *net) US_MUST; /* same sizes */
us_err us_net_predictor_run(us_ctx *c, us_net_predictor *p, size_t n, const float *x,
                            float *out) US_MUST;

#endif
