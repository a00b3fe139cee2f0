/* test_op_ms - com.microsoft's transformers where ONNX Runtime's CPU has nothing to compare with (packed layouts, masks of rank 4, buffers,
 * statistics), and input that does not fit. What it has is compared in tests/ops. */
#include "op_fixture.h"

#define X "const x: float[1,2,2] = {1, 2, 3, 4}\n"
/* Q and K are zero, so that every key in sight counts the same; V is x. */
#define W   "const w: float[2,6] = {0,0,0,0,1,0, 0,0,0,0,0,1}\n"
#define MS  "com.microsoft."
#define ATT X W "y = " MS "Attention(x, w"
#define TWO_K                                                                                  \
    "const q: float[1,1,2] = {5, 6}\nconst k: float[1,2,2] = {0, 0, 0, 0}\nconst v: "          \
    "float[1,2,2] = {1, 2, 3, 4}\n"
#define CACHE                                                                                  \
    "const q: float[1,1,2] = {5, 6}\nconst k: float[1,1,2] = {0, 0}\nconst v: float[1,1,2] = " \
    "{1, 2}\nconst c: float[1,1,3,2] = {0,0,0,0,0,0}\nconst d: float[1,1,3,2] = "              \
    "{3,4,9,9,9,9}\n"
#define DMMHA "com.microsoft.DecoderMaskedMultiHeadAttention"
#define GQA                                                                                    \
    "const q: float[1,1,4] = {1, 1, 1, 1}\nconst k: float[1,1,2] = {0, 0}\nconst v: "          \
    "float[1,1,2] = {1, 2}\nconst c: float[1,1,2,2] = {0,0,0,0}\nconst d: float[1,1,2,2] = "   \
    "{3,4,5,6}\n"
#define EMBED                                                                                  \
    "const w: float[2,2] = {1,2,3,4}\nconst p: float[2,2] = {1,0,0,1}\nconst g: float[2] = "   \
    "{1,1}\nconst b: float[2] = {0,0}\n"
#define SKIP                                                                                   \
    "const a: float[1,2] = {1, 2}\nconst s: float[2] = {2, 5}\nconst g: float[2] = {1, 2}\n"
#define TURN "const tc: float[2,1] = {1, 0}\nconst ts: float[2,1] = {0, 1}\n"
/* A decoder that remembers: each word has its next one. The state is what it has read. */
#define CHAIN "const n: float[4,4] = {0,9,0,1, 1,0,9,0, 9,1,0,0, 0,0,0,9}\n"
#define DECODER                                                                                \
    "decoder=graph d (i: int32[b,s], o: int32[b,s], m: int32[b,t], past: float[2,b,1,p,1]) "   \
    "-> (logits, now) {\n"                                                                     \
    "logits = Gather(^n, i)\nf = Cast(i) {to=1}\nconst ax: int64[3] = {0, 2, 4}\nu = "         \
    "Unsqueeze(f, ax)\nh = Concat(u, u) {axis=0}\nnow = Concat(past, h) {axis=3}\n}"
#define ASK                                                                                    \
    "const x: int32[1,1] = {0}\nconst l: int32[1] = {6}\nconst z: int32[1] = {0}\nconst b: "   \
    "int32[1] = {2}\nconst r: int32[1] = {1}\n"
#define BEAM(l, b, r, more)                                                                    \
    "y = com.microsoft.BeamSearch(x, " l ", z, " b ", " r                                      \
    ") {eos_token_id=3, pad_token_id=3, " more DECODER "}"

/* clang-format off */
static const op_case rows[] = {
    {"every key alike", ATT ") {num_heads=1}", 3, {1, 2, 2}, {2, 3, 2, 3}, {0}, 0},
    {"later keys out of sight", ATT ") {num_heads=1, unidirectional=1}", 3, {1, 2, 2}, {1, 2, 2, 3}, {0}, 0},
    {"heads of one number", ATT ") {num_heads=2}", 3, {1, 2, 2}, {2, 3, 2, 3}, {0}, 0},
    {"mask of the longest sequence", "const m: int32[1,1,3,3] = {1,0,0, 0,1,0, 0,0,0}\n" ATT ", _, m) {num_heads=1}", 3, {1, 2, 2}, {1, 2, 3, 4}, {0}, 0},
    {"mask of the longest sequence behind a past", "const m: int32[1,1,3,3] = {0,0,0, 1,0,0, 0,0,1}\nconst p: float[2,1,1,1,2] = {0,0, 7,8}\n" ATT ", _, m, p) {num_heads=1}", 3, {1, 2, 2}, {7, 8, 3, 4}, {0}, 0},
    {"offsets behind the lengths", "const m: int32[5] = {1, 0, 2, 0, 1}\n" ATT ", _, m) {num_heads=1}", 3, {1, 2, 2}, {1, 2, 1, 2}, {0}, 0},
    {"past and present in one buffer", "const p: float[2,1,1,4,2] = {0,0,0,0,0,0,0,0, 7,8,0,0,9,9,9,9}\nconst n: int32[1] = {1}\n" X W "y = " MS "Attention(x, w, _, _, p, _, n) {num_heads=1, past_present_share_buffer=1}", 3, {1, 2, 2}, {11.0/3, 14.0/3, 11.0/3, 14.0/3}, {0}, 0},
    {"the present of a buffer", "const p: float[2,1,1,4,2] = {0,0,0,0,0,0,0,0, 7,8,0,0,0,0,0,0}\nconst n: int32[1] = {1}\n" X W "z, y = " MS "Attention(x, w, _, _, p, _, n) {num_heads=1, past_present_share_buffer=1}", 5, {2, 1, 1, 4, 2}, {0, 0, 0, 0, 0, 0, 0, 0, 7, 8, 1, 2, 3, 4, 0, 0}, {0}, 0},
    {"half precision", "const x: float16[1,2,2] = {1, 2, 3, 4}\nconst w: float16[2,6] = {0,0,0,0,1,0, 0,0,0,0,0,1}\ny = " MS "Attention(x, w) {num_heads=1}", 3, {1, 2, 2}, {2, 3, 2, 3}, {0}, 0},
    {"no sequences", "const x: float[0,2,2] = {}\n" W "y = " MS "Attention(x, w) {num_heads=1}", 3, {0, 2, 2}, {0}, {0}, 0},
    {"no tokens", "const x: float[1,0,2] = {}\n" W "y = " MS "Attention(x, w) {num_heads=1}", 3, {1, 0, 2}, {0}, {0}, 0},
    {"no heads", ATT ") {num_heads=0}", -1, {0}, {0}, {0}, US_ARG},
    {"heads that do not divide", ATT ") {num_heads=3}", -1, {0}, {0}, {0}, US_SHAPE},
    {"more heads than there are numbers", ATT ") {num_heads=4611686018427387904}", -1, {0}, {0}, {0}, US_SHAPE},
    {"sizes of Q and K differ", ATT ") {num_heads=1, qkv_hidden_sizes=[1, 2, 3]}", -1, {0}, {0}, {0}, US_ARG},
    {"two sizes", ATT ") {num_heads=1, qkv_hidden_sizes=[3, 3]}", -1, {0}, {0}, {0}, US_ARG},
    {"sizes that overflow", ATT ") {num_heads=1, qkv_hidden_sizes=[4611686018427387904, 4611686018427387904, -9223372036854775802]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"rotation", ATT ") {num_heads=1, do_rotary=1}", -1, {0}, {0}, {0}, US_UNSUPP},
    {"mask of another batch", "const m: int32[4] = {1, 1, 1, 1}\n" ATT ", _, m) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"mask of other keys", "const m: int32[1,3] = {1, 1, 1}\n" ATT ", _, m) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"mask of rank 0", "const m: int32[] = {1}\n" ATT ", _, m) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"negative lengths", "const m: int32[1] = {-5}\n" ATT ", _, m) {num_heads=1}", 3, {1, 2, 2}, {2, 3, 2, 3}, {0}, 0},
    {"past of other heads", "const p: float[2,1,2,1,2] = {0,0,0,0,0,0,0,0}\n" ATT ", _, _, p) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"a buffer without a length", "const p: float[2,1,1,4,2] = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}\n" ATT ", _, _, p) {num_heads=1, past_present_share_buffer=1}", -1, {0}, {0}, {0}, US_ARG},
    {"a buffer that is full", "const p: float[2,1,1,4,2] = {0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}\nconst n: int32[1] = {3}\n" ATT ", _, _, p, _, n) {num_heads=1, past_present_share_buffer=1}", -1, {0}, {0}, {0}, US_ARG},
    {"bias of other queries", "const b: float[1,1,1,2] = {0, 0}\n" ATT ", _, _, _, b) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"weights of another input", X "const w: float[3,6] = {0,0,0,0,1,0, 0,0,0,0,0,1, 0,0,0,0,0,0}\ny = " MS "Attention(x, w) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"quantised with a zero point of another type", "const x: uint8[1,1,1] = {1}\nconst w: int8[1,3] = {1, 2, 3}\nconst b: float[3] = {0, 0, 0}\nconst s: float[] = {1}\nconst z: int8[2] = {1, 2}\ny = " MS "QAttention(x, w, b, s, s, _, _, z) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"quantised with two scales", "const x: uint8[1,1,1] = {1}\nconst w: int8[1,3] = {1, 2, 3}\nconst b: float[3] = {0, 0, 0}\nconst s: float[2] = {1, 2}\ny = " MS "QAttention(x, w, b, s, s) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"quantised", "const x: uint8[1,1,1] = {3}\nconst w: int8[1,3] = {1, 2, 3}\nconst b: float[3] = {0, 0, 1}\nconst s: float[] = {0.5}\nconst z: uint8[] = {1}\ny = " MS "QAttention(x, w, b, s, s, _, z) {num_heads=1}", 3, {1, 1, 1}, {2.5}, {0}, 0},

    {"all packed", "const q: float[1,2,1,3,2] = {0,0,9,9,1,2, 0,0,8,8,3,4}\ny = " MS "MultiHeadAttention(q) {num_heads=1}", 3, {1, 2, 2}, {2, 3, 2, 3}, {0}, 0},
    {"all packed in rows", "const q: float[1,2,6] = {0,0,9,9,1,2, 0,0,8,8,3,4}\ny = " MS "MultiHeadAttention(q) {num_heads=2}", 3, {1, 2, 2}, {2, 3, 2, 3}, {0}, 0},
    {"keys and values packed", "const q: float[1,1,2] = {5, 6}\nconst k: float[1,2,1,2,2] = {0,0,1,2, 0,0,3,4}\ny = " MS "MultiHeadAttention(q, k) {num_heads=1}", 3, {1, 1, 2}, {2, 3}, {0}, 0},
    {"two heads, all packed", "const q: float[1,1,2,3,1] = {1,2,3, 4,5,6}\ny = " MS "MultiHeadAttention(q) {num_heads=2}", 3, {1, 1, 2}, {3, 6}, {0}, 0},
    {"values of another size", TWO_K "const u: float[1,2,3] = {1,2,3, 3,4,5}\ny = " MS "MultiHeadAttention(q, k, u) {num_heads=1}", 3, {1, 1, 3}, {2, 3, 4}, {0}, 0},
    {"no keys", "const q: float[1,1,2] = {5, 6}\nconst k: float[1,0,2] = {}\ny = " MS "MultiHeadAttention(q, k, k) {num_heads=1}", 3, {1, 1, 2}, {0, 0}, {0}, 0},
    {"heads of nothing", "const q: float[1,2,0] = {}\ny = " MS "MultiHeadAttention(q, q, q) {num_heads=3}", 3, {1, 2, 0}, {0}, {0}, 0},
    {"all packed for other heads", "const q: float[1,2,1,3,2] = {0,0,9,9,1,2, 0,0,8,8,3,4}\ny = " MS "MultiHeadAttention(q) {num_heads=2}", -1, {0}, {0}, {0}, US_SHAPE},
    {"no room for the heads", TWO_K "y = " MS "MultiHeadAttention(q, k, v) {num_heads=4}", -1, {0}, {0}, {0}, US_SHAPE},
    {"a value without a key", TWO_K "y = " MS "MultiHeadAttention(q, _, v) {num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"a key without a value", TWO_K "y = " MS "MultiHeadAttention(q, k) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"a past of keys alone", TWO_K "const c: float[1,1,1,2] = {0, 0}\ny = " MS "MultiHeadAttention(q, k, v, _, _, _, c) {num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"a bias that is too short", TWO_K "const b: float[4] = {0, 0, 0, 0}\ny = " MS "MultiHeadAttention(q, k, v, b) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"a mask of keys with a past", TWO_K "const c: float[1,1,1,2] = {0, 0}\nconst m: int32[1,2] = {1, 1}\ny = " MS "MultiHeadAttention(q, k, v, _, m, _, c, c) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"a first step in a buffer", CACHE "const n: int32[1] = {0}\ny = " DMMHA "(q, k, v, _, _, c, d, n) {num_heads=1, past_present_share_buffer=1}", 3, {1, 1, 2}, {1, 2}, {0}, 0},
    {"a step in a buffer", CACHE "const n: int32[1] = {1}\ny = " DMMHA "(q, k, v, _, _, c, d, n) {num_heads=1, past_present_share_buffer=1}", 3, {1, 1, 2}, {2, 3}, {0}, 0},
    {"a step too many", CACHE "const n: int32[1] = {3}\ny = " DMMHA "(q, k, v, _, _, c, d, n) {num_heads=1, past_present_share_buffer=1}", -1, {0}, {0}, {0}, US_ARG},
    {"a past of nobody", CACHE "const n: int32[1] = {1}\nconst i: int32[1,1,3] = {1, 0, 0}\ny = " DMMHA "(q, k, v, _, _, c, d, n, _, i) {num_heads=1, past_present_share_buffer=1}", -1, {0}, {0}, {0}, US_ARG},
    {"two steps at once", TWO_K "y = " DMMHA "(v, k, v) {num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},

    {"two query heads share a cache", GQA "const l: int32[1] = {2}\nconst t: int32[] = {3}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", 3, {1, 1, 4}, {3, 4, 3, 4}, {0}, 0},
    {"a longer present", GQA "const l: int32[1] = {1}\nconst t: int32[] = {3}\nz, p, y = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", 4, {1, 1, 3, 2}, {3, 4, 1, 2, 0, 0}, {0}, 0},
    {"more keys than the longest", GQA "const l: int32[1] = {3}\nconst t: int32[] = {3}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"more past than there is", GQA "const l: int32[1] = {3}\nconst t: int32[] = {4}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"no keys at all", GQA "const l: int32[1] = {-1}\nconst t: int32[] = {3}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"a total of nothing", GQA "const l: int32[1] = {0}\nconst t: int32[] = {0}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"heads that cannot share", GQA "const l: int32[1] = {2}\nconst t: int32[] = {3}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=3}", -1, {0}, {0}, {0}, US_ARG},
    {"a table that is too short", GQA TURN "const l: int32[1] = {2}\nconst t: int32[] = {3}\nconst i: int64[1,1] = {2}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t, tc, ts, i) {num_heads=2, kv_num_heads=1, do_rotary=1}", -1, {0}, {0}, {0}, US_ARG},
    {"a cache of 10^12 steps", GQA "const l: int32[1] = {2}\nconst t: int32[] = {2147483647}\ny = " MS "GroupQueryAttention(q, k, v, c, d, l, t) {num_heads=2, kv_num_heads=1}", -1, {0}, {0}, {0}, US_LIMIT},

    {"turned by an offset", TURN "const x: float[1,1,2] = {3, 4}\nconst i: int64[1] = {1}\ny = " MS "RotaryEmbedding(x, i, tc, ts)", 3, {1, 1, 2}, {-4, 3}, {0}, 0},
    {"a position behind the table", TURN "const x: float[1,1,2] = {3, 4}\nconst i: int64[1,1] = {2}\ny = " MS "RotaryEmbedding(x, i, tc, ts)", -1, {0}, {0}, {0}, US_ARG},
    {"an offset that overflows", TURN "const x: float[1,2,2] = {3, 4, 5, 6}\nconst i: int64[1] = {9223372036854775807}\ny = " MS "RotaryEmbedding(x, i, tc, ts)", -1, {0}, {0}, {0}, US_ARG},
    {"more angles than pairs", TURN "const x: float[1,1,1,1] = {3}\nconst i: int64[1] = {0}\ny = " MS "RotaryEmbedding(x, i, tc, ts)", -1, {0}, {0}, {0}, US_SHAPE},

    {"mean and deviation", SKIP "z, y = " MS "SkipLayerNormalization(a, s, g)", 2, {1, 1}, {5}, {0}, 0},
    {"one by the deviation", SKIP "z, m, y = " MS "SkipLayerNormalization(a, s, g)", 2, {1, 1}, {0.5}, {0}, 0},
    {"the sum", SKIP "z, _, _, y = " MS "SkipLayerNormalization(a, s, g, _, g)", 2, {1, 2}, {4, 9}, {0}, 0},
    {"no mean", SKIP "z, y, i = " MS "SkipSimplifiedLayerNormalization(a, s, g)", 2, {1, 1}, {0}, {0}, 0},
    {"a skip of another row", "const a: float[1,2] = {1, 2}\nconst s: float[3] = {0, 1, 2}\nconst g: float[2] = {1, 2}\ny = " MS "SkipLayerNormalization(a, s, g)", -1, {0}, {0}, {0}, US_SHAPE},
    {"statistics of half precision are floats", "const a: float16[1,2] = {1, 2}\nconst s: float16[1,2] = {2, 5}\nconst g: float16[2] = {1, 2}\nz, y = " MS "SkipLayerNormalization(a, s, g)", 2, {1, 1}, {5}, {0}, 0},
    {"a word that is not there", EMBED "const i: int32[1,1] = {2}\ny = " MS "EmbedLayerNormalization(i, _, w, p, _, g, b)", -1, {0}, {0}, {0}, US_ARG},
    {"a negative word", EMBED "const i: int32[1,1] = {-1}\ny = " MS "EmbedLayerNormalization(i, _, w, p, _, g, b)", -1, {0}, {0}, {0}, US_ARG},
    {"more tokens than positions", EMBED "const i: int32[1,3] = {0, 1, 0}\ny = " MS "EmbedLayerNormalization(i, _, w, p, _, g, b)", -1, {0}, {0}, {0}, US_SHAPE},
    {"segments without their table", EMBED "const i: int32[1,1] = {0}\ny = " MS "EmbedLayerNormalization(i, i, w, p, _, g, b)", -1, {0}, {0}, {0}, US_ARG},
    {"counts of the mask", EMBED "const i: int32[2,2] = {0, 1, 1, 1}\nconst m: int32[2,2] = {1, 1, 2, 0}\nz, y = " MS "EmbedLayerNormalization(i, _, w, p, _, g, b, m)", 1, {2}, {2, 0}, {0}, 0},

    {"the likeliest words", CHAIN ASK BEAM("l", "b", "r", ""), 3, {1, 1, 6}, {0, 1, 2, 0, 1, 2}, {0}, 0},
    {"the likeliest words, greedily", CHAIN ASK "y = " MS "GreedySearch(x, l) {eos_token_id=3, pad_token_id=3, " DECODER "}", 2, {1, 6}, {0, 1, 2, 0, 1, 2}, {0}, 0},
    {"an end at once", CHAIN ASK "const e: int32[1,1] = {3}\ny = " MS "GreedySearch(e, l) {eos_token_id=3, pad_token_id=2, " DECODER "}", 2, {1, 6}, {3, 2, 2, 2, 2, 2}, {0}, 0},
    {"words from one seed", CHAIN ASK "const d: int32[1] = {4}\nu = " MS "Sampling(x, l, _, _, _, _, _, _, d) {eos_token_id=3, pad_token_id=3, top_p=0.9, " DECODER "}\nv = " MS "Sampling(x, l, _, _, _, _, _, _, d) {eos_token_id=3, pad_token_id=3, top_p=0.9, " DECODER "}\ny = Sub(u, v)", 2, {1, 6}, {0, 0, 0, 0, 0, 0}, {0}, 0},
    {"no beams", CHAIN ASK BEAM("l", "z", "r", ""), -1, {0}, {0}, {0}, US_ARG},
    {"more answers than beams", CHAIN ASK BEAM("l", "r", "b", ""), -1, {0}, {0}, {0}, US_ARG},
    {"a million beams", CHAIN ASK "const h: int32[1] = {1000000}\n" BEAM("l", "h", "r", ""), -1, {0}, {0}, {0}, US_ARG},
    {"an endless answer", CHAIN ASK "const h: int32[1] = {2147483647}\n" BEAM("h", "b", "r", ""), -1, {0}, {0}, {0}, US_ARG},
    {"no room behind the prompt", CHAIN ASK BEAM("r", "b", "r", ""), -1, {0}, {0}, {0}, US_ARG},
    {"a model of another type", CHAIN ASK BEAM("l", "b", "r", "model_type=2, "), -1, {0}, {0}, {0}, US_UNSUPP},
    {"an encoder that is not there", CHAIN ASK BEAM("l", "b", "r", "model_type=1, decoder_start_token_id=0, "), -1, {0}, {0}, {0}, US_ARG},
    {"more words than the logits have", CHAIN ASK BEAM("l", "b", "r", "vocab_size=5, "), -1, {0}, {0}, {0}, US_SHAPE},
    {"fewer words than the logits have", CHAIN ASK BEAM("l", "b", "r", "vocab_size=3, "), 3, {1, 1, 6}, {0, 1, 2, 0, 1, 2}, {0}, 0},
    {"a negative n-gram", CHAIN ASK BEAM("l", "b", "r", "no_repeat_ngram_size=-1, "), -1, {0}, {0}, {0}, US_ARG},
    {"a decoder without states", ASK "y = " MS "GreedySearch(x, l) {eos_token_id=3, pad_token_id=3, decoder=graph d (i: int32[b,s], o: int32[b,s], m: int32[b,t]) -> (logits) {\nlogits = Cast(i) {to=1}\n}}", -1, {0}, {0}, {0}, US_UNSUPP},
    {"logits of rank 2", ASK "y = " MS "GreedySearch(x, l) {eos_token_id=3, pad_token_id=3, decoder=graph d (i: int32[b,s], o: int32[b,s], m: int32[b,t], past: float[2,b,1,p,1]) -> (logits, now) {\nlogits = Cast(i) {to=1}\nnow = Identity(past)\n}}", -1, {0}, {0}, {0}, US_SHAPE},
    {"states of another shape", CHAIN ASK "y = " MS "GreedySearch(x, l) {eos_token_id=3, pad_token_id=3, decoder=graph d (i: int32[b,s], o: int32[b,s], m: int32[b,t], past: float[2,b,1,p,1]) -> (logits, now) {\nlogits = Gather(^n, i)\nnow = Cast(i) {to=1}\n}}", -1, {0}, {0}, {0}, US_SHAPE},
    {"heads that nobody declared", CHAIN ASK "y = " MS "GreedySearch(x, l) {eos_token_id=3, pad_token_id=3, decoder=graph d (i: int32[b,s], o: int32[b,s], m: int32[b,t], past: float[2,b,h,p,1]) -> (logits, now) {\nlogits = Gather(^n, i)\nnow = Identity(past)\n}}", -1, {0}, {0}, {0}, US_ARG},
};
/* clang-format on */

static void test_ms__by_hand_and_misfits(void)
{
    op_check_all(rows, US_LEN(rows));
}

static const us_test_case cases[] = {US_CASE(test_ms__by_hand_and_misfits)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
