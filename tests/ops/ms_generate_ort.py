"""ms_generate_ort.py USTA: BeamSearch, GreedySearch and Sampling against ONNX Runtime, on small models with random weights.

A GPT-2 of two layers and a T5 of one (in its older form, whose encoder runs the first step, and the newer), vocabulary of 24 words, so
that ends of sequences, repetitions and ties of penalties do happen. Sequences are integers and must be equal. Scores are sums of
log-softmaxes of float32 models: 1e-4 of the largest magnitude. Sampling with top_p so small that one word is left must be equal too;
otherwise its tokens are drawn by another generator, and only lie among those that ONNX Runtime keeps.
"""
import subprocess, sys, tempfile
import numpy as np
import onnx
from onnx import TensorProto as TP, helper as oh, numpy_helper as nh
import onnxruntime as ort

usta, only = sys.argv[1], sys.argv[2:]
MS, V, N, H = "com.microsoft", 24, 2, 4
D = N * H
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.intra_op_num_threads = 1
options.log_severity_level = 4
failed, ran, worst_seen = 0, 0, 0.0


def value(name, dims, t=TP.FLOAT):
    return oh.make_tensor_value_info(name, t, dims)


class Weights:
    def __init__(self, seed):
        self.rng, self.list = np.random.default_rng(seed), []

    def __call__(self, name, *dims, scale=0.5):
        self.list.append(nh.from_array((self.rng.standard_normal(dims) * scale).astype(np.float32), name))
        return name

    def ints(self, name, v):
        self.list.append(nh.from_array(np.array(v, np.int64), name))
        return name


def ms(op, ins, outs, **attrs):
    return oh.make_node(op, ins, outs, domain=MS, **attrs)


def gpt(seed, layers=2):
    w = Weights(seed)
    node = oh.make_node
    nodes = [node("Gather", [w("wte", V, D, scale=1.0), "input_ids"], ["we"]), node("Gather", [w("wpe", 40, D), "position_ids"], ["pe"]),
             node("Add", ["we", "pe"], ["h0"])]
    for i in range(layers):
        nodes += [ms("Attention", [f"h{i}", w(f"w{i}", D, 3 * D), w(f"b{i}", 3 * D), "attention_mask", f"past_{i}"], [f"a{i}", f"present_{i}"],
                     num_heads=N, unidirectional=1), node("Add", [f"h{i}", f"a{i}"], [f"h{i + 1}"])]
    nodes.append(node("MatMul", [f"h{layers}", w("head", D, V, scale=1.0)], ["logits"]))
    ints = [value("input_ids", ["b", "s"], TP.INT32), value("position_ids", ["b", "s"], TP.INT32), value("attention_mask", ["b", "t"], TP.INT32)]
    past = [value(f"past_{i}", [2, "b", N, "p", H]) for i in range(layers)]
    present = [value(f"present_{i}", [2, "b", N, "t", H]) for i in range(layers)]
    return oh.make_graph(nodes, "gpt", ints + past, [value("logits", ["b", "s", V])] + present, w.list)


def heads(w, x, name, weight):
    """[b,s,D] times a weight as [b,N,s,H]."""
    return [oh.make_node("MatMul", [x, weight], [name + "_m"]), oh.make_node("Reshape", [name + "_m", "split"], [name + "_r"]),
            oh.make_node("Transpose", [name + "_r"], [name], perm=[0, 2, 1, 3])]


def decoder_nodes(w, ids, mask, past, cross, out):
    """One decoder layer: self attention over past (or none), cross attention, logits; present are out's k and v."""
    node = oh.make_node
    n = [node("Gather", ["emb", ids], ["d0"])]
    for t in "qkv":
        n.append(node("MatMul", ["d0", f"ws{t}"], [f"s{t}"]))
    n.append(ms("MultiHeadAttention", ["sq", "sk", "sv", "", "", ""] + past, ["sa", *out], num_heads=N))
    n += [node("Add", ["d0", "sa"], ["d1"]), node("MatMul", ["d1", "wcq"], ["cq"]),
          ms("MultiHeadAttention", ["cq", *cross, "", mask], ["ca"], num_heads=N), node("Add", ["d1", "ca"], ["d2"]),
          node("MatMul", ["d2", "head"], ["logits"])]
    return n


def shared(seed):
    w = Weights(seed)
    w("emb", V, D, scale=1.0)
    for t in "qkv":
        w(f"ws{t}", D, D)
    w("wcq", D, D)
    w("head", D, V, scale=1.0)
    return w


def t5(seed, old=True, hidden=True, whole=False):
    w = shared(seed)
    e = shared(seed)
    e.ints("split", [0, 0, N, H])
    node = oh.make_node
    en = [node("Gather", ["emb", "encoder_input_ids"], ["x"]), ms("Attention", ["x", e("we", D, 3 * D), e("be", 3 * D), "encoder_attention_mask"], ["xa"], num_heads=N),
          node("Add", ["x", "xa"], ["encoder_hidden_states"])]
    en += heads(e, "encoder_hidden_states", "present_key_cross_0", e("wck", D, D)) + heads(e, "encoder_hidden_states", "present_value_cross_0", e("wcv", D, D))
    e_in = [value("encoder_input_ids", ["b", "s"], TP.INT32), value("encoder_attention_mask", ["b", "s"], TP.INT32)]
    cross = [value(f"present_{t}_cross_0", ["b", N, "s", H]) for t in ("key", "value")]
    if old:
        en += decoder_nodes(e, "decoder_input_ids", "encoder_attention_mask", [], ["present_key_cross_0", "present_value_cross_0"],
                            ["present_key_self_0", "present_value_self_0"])
        e_in.append(value("decoder_input_ids", ["b", 1], TP.INT32))
        e_out = [value("logits", ["b", 1, V]), value("encoder_hidden_states", ["b", "s", D]),
                 *[value(f"present_{t}_self_0", ["b", N, 1, H]) for t in ("key", "value")], *cross]
    else:
        e_out = cross
    enc = oh.make_graph(en, "enc", e_in, e_out, e.list)
    d_in = [value("input_ids", ["b", "n" if whole else 1], TP.INT32), value("encoder_attention_mask", ["b", "s"], TP.INT32)]
    if hidden: d_in.append(value("encoder_hidden_states", ["b", "s", D]))
    d_in += [value(f"past_{t}_self_0", ["b", N, "p", H]) for t in ("key", "value")] + [value(f"past_{t}_cross_0", ["b", N, "s", H]) for t in ("key", "value")]
    ids, extra = "input_ids", []
    if whole: # the last token of the sequence
        ids = "last"
        extra = [node("Slice", ["input_ids", w.ints("m1", [-1]), w.ints("big", [1 << 30]), w.ints("one", [1])], ["last"])]
    dn = decoder_nodes(w, ids, "encoder_attention_mask", ["past_key_self_0", "past_value_self_0"], ["past_key_cross_0", "past_value_cross_0"],
                       ["present_key_self_0", "present_value_self_0"])
    dec = oh.make_graph(extra + dn, "dec", d_in, [value("logits", ["b", 1, V]), *[value(f"present_{t}_self_0", ["b", N, "p1", H]) for t in ("key", "value")]], w.list)
    return enc, dec


def compare(name, op, inputs, outputs, drawn=False, **attrs):
    """inputs: arrays, None for one left out; outputs: element types."""
    global failed, ran, worst_seen
    if only and op not in only: return None
    ran += 1
    ins = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    outs = [f"y{i}" if t is not None else "" for i, t in enumerate(outputs)]
    feeds = {n: x for n, x in zip(ins, inputs) if n}
    types = {np.dtype("int32"): TP.INT32, np.dtype("float32"): TP.FLOAT}
    graph = oh.make_graph([ms(op, ins, outs, **attrs)], "g", [value(n, list(x.shape), types[x.dtype]) for n, x in feeds.items()],
                          [value(n, None, t) for n, t in zip(outs, outputs) if n])
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17), oh.make_opsetid(MS, 1)], ir_version=10)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/m.onnx"
        onnx.save(model, path)
        try:
            want = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run([n for n in outs if n], feeds)
        except Exception as e:
            failed += 1
            print(f"{op}: {name}: the peer refuses it: {str(e)[:300]}")
            return None
        args = [usta, "infer", path, "-o", folder]
        for n, x in feeds.items():
            np.save(f"{folder}/{n}.in.npy", x)
            args += ["-i", f"{n}={folder}/{n}.in.npy"]
        p = subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if p.returncode:
            failed += 1
            print(f"{op}: {name}: {p.stderr.strip()}")
            return None
        got = [np.load(f"{folder}/{n}.npy") for n in outs if n]
    for i, (g, w) in enumerate(zip(got, want)):
        if drawn: break
        if op != "BeamSearch" and i == 0: # once all rows are through, the peer leaves the rest of its memory as it was
            used = np.flatnonzero((g != attrs["pad_token_id"]).any(0)).max() + 1
            g, w = g[:, :used], w[:, :used]
        if g.shape != w.shape or g.dtype != w.dtype:
            failed += 1
            print(f"{op}: {name}: output {i} is {g.dtype}{g.shape}, expected {w.dtype}{w.shape}")
        elif w.dtype.kind == "i":
            if not np.array_equal(g, w):
                failed += 1
                print(f"{op}: {name}: output {i} is\n{g}\nexpected\n{w}")
        else:
            gap = np.where(g == w, 0, np.abs(g.astype(np.float64) - w) / np.maximum(1, np.abs(w.astype(np.float64))))
            worst_seen = max(worst_seen, float(gap.max(initial=0)))
            if not gap.max(initial=0) <= 1e-4:
                failed += 1
                print(f"{op}: {name}: output {i} differs by {gap.max():.3g}")
    return got, want


def one(v, t=np.int32):
    return np.array([v], t)


rng = np.random.default_rng(3)
words = rng.integers(4, V, (2, 5)).astype(np.int32)
padded = words.copy()
padded[0, :2] = 1
SEQ, SCORED = (TP.INT32,), (TP.INT32, TP.FLOAT)
seeds = (1, 2, 3, 4)


def beam(name, graph_attrs, ids=words, longest=14, shortest=0, beams=3, best=2, length=1.0, repeat=1.0, vocab=None, prefix=None, mask=None,
         outputs=SCORED, **attrs):
    ins = [ids, one(longest), one(shortest), one(beams), one(best), one(length, np.float32), one(repeat, np.float32), vocab, prefix, mask]
    while ins[-1] is None: ins.pop()
    return compare(name, "BeamSearch", ins, outputs, **{**dict(eos_token_id=2, pad_token_id=1), **graph_attrs, **attrs})


vocab = np.ones(V, np.int32)
vocab[[5, 9, 11, 17]] = 0
prefix = rng.integers(0, 2, (2, V)).astype(np.int32)
prefix[:, 10] = 1
for s in seeds:
    for form, a in (("GPT-2", dict(decoder=gpt(s))), ("T5", dict(zip(("encoder", "decoder"), t5(s)), model_type=1, decoder_start_token_id=0)),
                    ("T5 without hidden states", dict(zip(("encoder", "decoder"), t5(s, hidden=False)), model_type=1, decoder_start_token_id=3)),
                    ("new T5", dict(zip(("encoder", "decoder"), t5(s, old=False, hidden=False)), model_type=1, decoder_start_token_id=0))):
        t = f"{form} {s}"
        beam(f"{t} plain", a)
        beam(f"{t} one beam", a, beams=1, best=1)
        beam(f"{t} eight beams", a, beams=8, best=8)
        beam(f"{t} early stopping", a, early_stopping=1, longest=20)
        if form.startswith("T5 w"): continue
        beam(f"{t} length penalty", a, length=0.3, early_stopping=1)
        beam(f"{t} length penalty 2", a, length=2.0, longest=20)
        beam(f"{t} repetition penalty", a, repeat=1.6)
        beam(f"{t} repetition bonus", a, repeat=0.7)
        beam(f"{t} no bigram twice", a, no_repeat_ngram_size=2)
        beam(f"{t} no word twice", a, no_repeat_ngram_size=1, repeat=1.2, longest=12)
        beam(f"{t} vocabulary", a, vocab=vocab)
        beam(f"{t} first words", a, prefix=prefix)
        beam(f"{t} min length", a, shortest=9)
        beam(f"{t} padded", a, ids=padded)
        beam(f"{t} attention mask", a, ids=padded, mask=np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 1]], np.int32))
        beam(f"{t} all rules", a, ids=padded, vocab=vocab, prefix=prefix, shortest=7, repeat=1.3, no_repeat_ngram_size=3, length=1.4, longest=18)
        beam(f"{t} other end", a, eos_token_id=7, longest=20)
        # all scores: steps after the end of a batch are what they are, so one batch, and of it the steps that were taken
        beam(f"{t} scores", a, ids=words[:1], shortest=12, outputs=(TP.INT32, TP.FLOAT, TP.FLOAT), longest=13)
    init = dict(decoder=gpt(s), init_decoder=gpt(s))
    beam(f"init_decoder {s}", init)
    beam(f"whole sequence {s}", dict(zip(("encoder", "decoder"), t5(s, whole=True)), model_type=1, decoder_start_token_id=0))


def greedy(name, ids=words, longest=14, shortest=0, repeat=1.0, vocab=None, prefix=None, mask=None, **attrs):
    ins = [ids, one(longest), one(shortest), one(repeat, np.float32), vocab, prefix, mask]
    while ins[-1] is None: ins.pop()
    return compare(name, "GreedySearch", ins, SEQ, **{**dict(eos_token_id=2, pad_token_id=1), **attrs})


for s in seeds:
    a = dict(decoder=gpt(s))
    greedy(f"plain {s}", **a)
    greedy(f"repetition penalty {s}", repeat=1.5, **a)
    greedy(f"no bigram twice {s}", no_repeat_ngram_size=2, longest=20, **a)
    greedy(f"vocabulary, first words {s}", vocab=vocab, prefix=prefix, **a)
    greedy(f"min length {s}", shortest=10, **a)
    greedy(f"padded {s}", ids=padded, **a)
    greedy(f"attention mask {s}", ids=padded, mask=np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 1]], np.int32), **a)
    greedy(f"other end {s}", eos_token_id=9, longest=20, repeat=1.5, **a)
    greedy(f"init_decoder {s}", init_decoder=gpt(s), **a)


def sampling(name, outputs=SEQ, longest=12, seed=5, **attrs):
    ins = [words, one(longest), one(0), one(1.0, np.float32), None, None, None, None, one(seed)]
    return compare(name, "Sampling", ins, outputs, **{**dict(eos_token_id=2, pad_token_id=1), **attrs})


for s in seeds:
    a = dict(decoder=gpt(s))
    sampling(f"the best word alone {s}", top_p=1e-6, min_tokens_to_keep=1, **a)
    sampling(f"the best word alone, temperature {s}", top_p=1e-6, min_tokens_to_keep=1, temperature=0.7, **a)
    sampling(f"custom, the best word alone {s}", top_p=1e-9, custom=1, **a)


# Many rows of one prompt, one step: the frequencies of both are those of the softmax of what we keep (5 standard deviations). The
# peer's CPU kernel does not give filtered_logits.
ROWS = 2000
for s in (1, 2):
    a = dict(decoder=gpt(s), eos_token_id=V + 1, pad_token_id=1)
    for n, b in (("half", dict(top_p=0.5)), ("most", dict(top_p=0.9, min_tokens_to_keep=3)), ("filter", dict(top_p=0.9, filter_value=-2.0)),
                 ("warm", dict(top_p=0.8, temperature=2.5)), ("custom", dict(top_p=0.6, custom=1, temperature=1.3)), ("all", dict(top_p=1.0, custom=1))):
        ins = [words[:1].repeat(ROWS, 0), one(6), one(0), one(1.0, np.float32), None, None, None, None, one(5)]
        got = compare(f"drawn, {n} {s}", "Sampling", ins, SCORED, drawn=True, **b, **a)
        if not got: continue
        (ours, kept), (theirs, _) = got
        share = np.exp(kept[0].astype(np.float64) - kept[0].max())
        share /= share.sum()
        for who, y in (("ours", ours), ("the peer's", theirs)):
            seen = np.bincount(y[:, -1], minlength=V) / ROWS
            off = np.abs(seen - share) / np.sqrt(np.maximum(share * (1 - share), 1 / ROWS) / ROWS)
            if off.max() > 5:
                failed += 1
                print(f"Sampling: drawn, {n} {s}: {who} word {off.argmax()} came {seen[off.argmax()]:.3f}, expected {share[off.argmax()]:.3f}")

print(f"largest difference of scores {worst_seen:.2g}")
print(f"{ran} cases, {failed} differ")
sys.exit(1 if failed else 0)
