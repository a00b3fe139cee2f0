"""ml_ort.py: ai.onnx.ml, and the text operators of ai.onnx, against ONNX Runtime on seeded random models (see ort_diff.py).

Tolerance 1e-5 where not said otherwise: ONNX Runtime sums in float, usta in double. Weights and thresholds of trees are multiples
of 1/64 and small, so that sums are exact on both sides and ties are real ties.
"""
import numpy as np
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from ort_diff import Report, make_model

R = Report()
rng = np.random.default_rng(20250131)
POSTS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
ML = "ai.onnx.ml"


def pick(*xs):
    return xs[rng.integers(len(xs))]


def node(op, ins, outs, **attrs):
    return helper.make_node(op, ins, outs, domain=ML, **{k: v for k, v in attrs.items() if v is not None})


def dyadic(shape, lo=-2.0, hi=2.0):
    return (np.round(rng.uniform(lo, hi, shape) * 64) / 64).astype(np.float32)


def rows(n, d, dtype, nan=0.0):
    x = np.round(rng.uniform(-2, 2, (n, d)) * 8) / 8
    if np.dtype(dtype).kind == "f" and nan:
        x[rng.random((n, d)) < nan] = np.nan
    return x.astype(dtype)


# --- trees ----------------------------------------------------------------------------------------------------------

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def forest(n_trees, d, depth, modes, nan):
    """Lists of nodes, and the (tree, node) pairs of the leaves. Thresholds lie on the grid of the inputs."""
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = []
    for t in range(n_trees):
        todo, next_id = [(0, 0)], 1
        nodes = {}
        while todo:
            i, level = todo.pop(0)
            if level == depth or rng.random() < (0.25 if level else 0.05):
                nodes[i] = (0, 0.0, "LEAF", 0, 0)
                leaves.append((t, i))
                continue
            nodes[i] = (int(rng.integers(d)), float(np.round(rng.uniform(-2, 2) * 8) / 8), str(rng.choice(modes)), next_id, next_id + 1)
            todo += [(next_id, level + 1), (next_id + 1, level + 1)]
            next_id += 2
        for i in sorted(nodes):
            for k, v in zip(("featureids", "values", "modes", "truenodeids", "falsenodeids"), nodes[i]):
                a[k].append(v)
            a["treeids"].append(t)
            a["nodeids"].append(i)
    out = {f"nodes_{k}": v for k, v in a.items()}
    if nan:
        out["nodes_missing_value_tracks_true"] = [int(m != "LEAF" and rng.random() < 0.5) for m in a["modes"]]
    return out, leaves


def doubled(attrs, names):
    """Float lists as double tensors (version 3)."""
    for n in names:
        if attrs.get(n) is not None:
            attrs[n + "_as_tensor"] = numpy_helper.from_array(np.array(attrs.pop(n), np.float64), n)
    return attrs


def modes_of():
    return MODES if rng.random() < 0.4 else [pick(*MODES)]


def tree_regressor(n_targets, how, post, dtype, double, depth=3, base=False, opset=3):
    d = int(rng.integers(1, 5))
    nan = pick(0, 0, 0.3)
    a, leaves = forest(int(rng.integers(1, 5)), d, depth, modes_of(), nan)
    votes = [(t, i, c) for t, i in leaves for c in range(n_targets)]
    a.update(target_treeids=[v[0] for v in votes], target_nodeids=[v[1] for v in votes], target_ids=[v[2] for v in votes],
             target_weights=dyadic(len(votes), 0.01, 0.2).tolist() if post == "PROBIT" else dyadic(len(votes)).tolist(),
             n_targets=n_targets, aggregate_function=how, post_transform=post)
    if base:
        a["base_values"] = dyadic(n_targets, 0, 0.125).tolist()
    if double:
        doubled(a, ["nodes_values", "target_weights", "base_values"])
    x = rows(int(rng.integers(0, 7)), d, dtype, nan)
    R.check(f"TreeEnsembleRegressor {how}", [node("TreeEnsembleRegressor", ["x"], ["y"], **a)], {"x": x}, ["y"], opsets={ML: opset},
            tol=1e-4 if post == "PROBIT" else 1e-5)


for how in ("SUM", "AVERAGE", "MIN", "MAX"):
    for i in range(24):
        double = i % 3 == 2
        tree_regressor(1 + i % 3, how, POSTS[i % 5], np.float64 if double else np.float32, double, base=i % 2 == 0, opset=3 if double else pick(1, 3))


def tree_classifier(kind, post, strings, dtype, double, base, opset=3):
    """kind: which classes the leaves vote for."""
    d = int(rng.integers(1, 5))
    nan = pick(0, 0, 0.3) if np.dtype(dtype).kind == "f" else 0
    k = {"one": 1, "pair0": 2, "pair1": 2, "both": 2, "symmetric": 2}.get(kind, int(rng.integers(3, 6)))
    a, leaves = forest(int(rng.integers(1, 5)), d, 3, modes_of(), nan)
    lo, hi = pick((0, 0.3), (-1, 1))
    if post == "PROBIT":
        lo, hi = 0, 0.2
    if kind == "one" or kind == "pair0":
        votes = [(t, i, 0, w) for (t, i), w in zip(leaves, dyadic(len(leaves), lo, hi))]
    elif kind == "pair1":
        votes = [(t, i, 1, w) for (t, i), w in zip(leaves, dyadic(len(leaves), lo, hi))]
    elif kind == "symmetric":
        votes = [(t, i, c, w if c else -w) for (t, i), w in zip(leaves, dyadic(len(leaves), -1, 1)) for c in (0, 1)]
    else:
        votes = [(t, i, c, dyadic(1, lo, hi)[0]) for t, i in leaves for c in range(k)
                 if kind != "some" or c == (t + i) % k]
    a.update(class_treeids=[v[0] for v in votes], class_nodeids=[v[1] for v in votes], class_ids=[v[2] for v in votes],
             class_weights=[float(v[3]) for v in votes], post_transform=post)
    labels = rng.permutation(50)[:k]
    if strings:
        a["classlabels_strings"] = [f"c{v}" for v in labels]
    else:
        a["classlabels_int64s"] = [int(v) for v in labels]
    if base:
        a["base_values"] = dyadic(base if base == 1 else k, 0, 0.25).tolist()
    if double:
        doubled(a, ["nodes_values", "class_weights", "base_values"])
    x = rows(int(rng.integers(0, 7)), d, dtype, nan)
    labels = np.array(a.get("classlabels_strings") or a.get("classlabels_int64s"), dtype=object if strings else np.int64)
    positive = all(v[3] >= 0 for v in votes)

    def fix(out):
        z = out["z"].astype(np.float64)
        # The standard: the label is the top class's. ONNX Runtime says 0 or 1 for one class and for two that both have weights,
        # and then takes the second of two whenever its score is positive.
        if kind in ("one", "both", "symmetric"):
            out["y"] = labels[z.argmax(axis=1)]
            if post in ("PROBIT", "SOFTMAX_ZERO"):  # these do not keep the order of scores
                out.pop("y")
        # It leaves the second score unset for PROBIT of one score ...
        if post == "PROBIT" and kind == "pair0":
            out["z"] = np.stack([-out["z"][:, 0], out["z"][:, 0]], axis=1)
        # ... and the transform out for LOGISTIC of one score when all weights are positive.
        if post == "LOGISTIC" and kind == "pair0" and positive:
            out["z"] = (1 / (1 + np.exp(-np.stack([-z[:, 1], z[:, 1]], axis=1)))).astype(np.float32)
            out["y"] = labels[(z[:, 1] > 0).astype(int)]
        if post == "LOGISTIC" and kind == "pair1" and positive:
            out["y"] = labels[(z[:, 1] > 0.5).astype(int)]
        return out
    tol = 1e-4 if post == "PROBIT" else 1e-5  # its formula cancels near 1/2, and ONNX Runtime's is in float
    R.check(f"TreeEnsembleClassifier {kind}", [node("TreeEnsembleClassifier", ["x"], ["y", "z"], **a)], {"x": x}, ["y", "z"],
            opsets={ML: opset}, fix=fix, tol=tol)


for kind in ("one", "pair0", "pair1", "both", "symmetric", "many", "some"):
    for i in range(30):
        double = i % 4 == 3
        tree_classifier(kind, POSTS[i % 5], i % 2 == 1 and kind != "one", np.float64 if double else pick(np.float32, np.float32, np.int32, np.int64), double,
                        (0, 0, 2, 1)[i // 5 % 4] if kind in ("one", "many", "some") else i % 2, 3 if double else pick(1, 3))

# --- TreeEnsemble (version 5) ---------------------------------------------------------------------------------------------
#
# The oracle is ONNX's reference: ONNX Runtime 1.23 numbers the transforms otherwise than the standard (1 is its LOGISTIC), walks
# some trees to other leaves, and refuses most with sets.


def transformed(y, post):
    """What post_transform makes of scores; of a single one nothing, but PROBIT."""
    z = y.astype(np.float64)
    z = np.where(np.abs(z) > 1e30, 0, z)  # the reference starts MIN and MAX there; a target without leaves has 0
    if post == 4:
        x = 2 * z - 1
        with np.errstate(all="ignore"):
            log = np.log((1 - x) * (1 + x))
            v = 2 / (3.14159 * 0.147) + log / 2
            z = np.sqrt(2) * np.sign(x) * np.sqrt(np.sqrt(v * v - log / 0.147) - v)
    elif z.shape[1] > 1 and post == 2:
        z = 1 / (1 + np.exp(-z))
    elif z.shape[1] > 1 and post in (1, 3) and len(z):
        top = z.max(axis=1, keepdims=True)
        keep = (np.abs(z) > 1e-7) | (post == 1)
        z = np.where(keep, np.exp(z - top), 0)
        total = z.sum(axis=1, keepdims=True)
        z /= np.where(total == 0, 1, total)
    return z.astype(y.dtype)


def tree_ensemble(n_targets, how, post, dtype, member):
    """Trees in the node and leaf lists of version 5."""
    d = int(rng.integers(1, 5))
    nan = pick(0, 0, 0.3)
    f, modes, splits, yes, no, yleaf, nleaf, leaf_t, leaf_w, members, roots = [], [], [], [], [], [], [], [], [], [], []
    allowed = modes_of() + (["BRANCH_MEMBER"] if member else [])
    names = MODES + ["BRANCH_MEMBER"]

    def grow(level):
        i = len(f)
        mode = str(rng.choice(allowed))
        f.append(int(rng.integers(d)))
        modes.append(names.index(mode))
        splits.append(0.0 if mode == "BRANCH_MEMBER" else float(np.round(rng.uniform(-2, 2) * 8) / 8))
        yes.append(0), no.append(0), yleaf.append(0), nleaf.append(0)
        for to, is_leaf in ((yes, yleaf), (no, nleaf)):
            if level == 2 or rng.random() < 0.3:
                is_leaf[i] = 1
                to[i] = len(leaf_t)
                leaf_t.append(int(rng.integers(n_targets)))
                leaf_w.append(float(dyadic(1, 0.01, 0.2)[0] if post == 4 else dyadic(1)[0]))
            else:
                to[i] = grow(level + 1)
        return i
    for _ in range(int(rng.integers(1, 5))):
        roots.append(grow(0))
    for m in modes:
        if names[m] == "BRANCH_MEMBER":
            # no 0: it ends a set in the reference
            members += list(rng.integers(1, 17, int(rng.integers(1, 4))) / pick(1, 8)) + [np.nan]
    a = dict(nodes_featureids=f, nodes_truenodeids=yes, nodes_falsenodeids=no, nodes_trueleafs=yleaf, nodes_falseleafs=nleaf,
             leaf_targetids=leaf_t, tree_roots=roots, n_targets=n_targets, aggregate_function=how, post_transform=post,
             nodes_modes=numpy_helper.from_array(np.array(modes, np.uint8), "m"),
             nodes_splits=numpy_helper.from_array(np.array(splits, dtype), "s"),
             leaf_weights=numpy_helper.from_array(np.array(leaf_w, dtype), "w"))
    if members:
        a["membership_values"] = numpy_helper.from_array(np.array(members, dtype), "e")
    if nan and rng.random() < 0.7:
        a["nodes_missing_value_tracks_true"] = rng.integers(0, 2, len(f)).tolist()
    x = rows(int(rng.integers(0, 7)), d, dtype, nan)
    if member:
        x = np.where(rng.random(x.shape) < 0.5, np.round(np.abs(x) * 8), x).astype(dtype)
    n = node("TreeEnsemble", ["x"], ["y"], **{**a, "post_transform": 0})
    want = np.zeros((0, n_targets), dtype)
    if len(x):
        want = ReferenceEvaluator(make_model([n], {"x": x}, ["y"], {ML: 5})).run(None, {"x": x})[0]
    R.check(f"TreeEnsemble {'with sets' if member else 'by thresholds'}", [node("TreeEnsemble", ["x"], ["y"], **a)], {"x": x}, ["y"],
            opsets={ML: 5}, want={"y": transformed(want, post)})


for i in range(80):
    tree_ensemble(1 + i % 3, i % 4, i % 5, np.float64 if i % 7 == 6 else np.float32, i % 2 == 1)

# --- linear ---------------------------------------------------------------------------------------------------------------


def linear(i):
    d, post = int(rng.integers(1, 5)), POSTS[i % 5]
    k = (1, 1, 3, 4, 2)[i // 5 % 5]
    labels = 2 if k == 1 and i // 5 % 2 else k
    dtype = pick(np.float32, np.float32, np.float64, np.int32, np.int64)
    x = rows(int(rng.integers(0, 6)), d, dtype)
    if rng.random() < 0.1:
        x = x[0] if len(x) else x
    scale = 0.05 if post == "PROBIT" else 1
    a = dict(coefficients=(dyadic(k * d) * scale).tolist(), intercepts=(dyadic(k, 0.4, 0.5) if post == "PROBIT" else dyadic(k)).tolist(),
             post_transform=post)
    tol = 1e-4 if post == "PROBIT" else 1e-5
    if i % 4 == 3:
        a.pop("intercepts")
    R.check("LinearRegressor", [node("LinearRegressor", ["x"], ["y"], targets=k, **a)], {"x": x.astype(np.float32)}, ["y"], tol=tol)
    a.setdefault("intercepts", [0.0] * k)  # ONNX Runtime counts classes by them
    a["multi_class"] = i % 2
    names = rng.permutation(50)[:labels]
    a["classlabels_strings" if i % 3 == 0 else "classlabels_ints"] = [f"c{v}" for v in names] if i % 3 == 0 else names.tolist()

    def fix(out):
        s = out["z"][:, -1].astype(np.float64)
        # ONNX Runtime has "1" and "0" for a label when there is one class; leaves LOGISTIC of a single score out, where the
        # standard has it applied; and writes PROBIT of a single score over half of a batch's numbers only.
        if k == labels == 1:
            out["y"] = np.array(a.get("classlabels_strings") or a["classlabels_ints"], dtype=out["y"].dtype).repeat(len(s))
        if k == 1 and labels == 2 and post == "LOGISTIC":
            out["z"] = (1 / (1 + np.exp(-np.stack([-s, s], axis=1)))).astype(np.float32)
        if k == 1 and labels == 2 and post == "PROBIT":
            s = out["z"].ravel()[: len(s)]
            out["z"] = np.stack([-s, s], axis=1)
        return out
    R.check("LinearClassifier", [node("LinearClassifier", ["x"], ["y", "z"], **a)], {"x": x}, ["y", "z"], tol=tol, fix=fix)


for i in range(50):
    linear(i)

# --- support vectors --------------------------------------------------------------------------------------------------------


def kernel_of(name):
    return dict(kernel_type=name, kernel_params=[0.25, float(dyadic(1)[0]) if name != "RBF" else 0.0, float(pick(1, 2, 3, 4))])


def svm_regressor(i):
    d, n = int(rng.integers(1, 5)), int(rng.integers(1, 7))
    kernel = ("LINEAR", "POLY", "RBF", "SIGMOID")[i % 4]
    a = dict(coefficients=dyadic(n).tolist(), support_vectors=dyadic(n * d).tolist(), n_supports=n, rho=dyadic(1).tolist(), **kernel_of(kernel))
    if i % 5 == 4:
        a.update(n_supports=0, coefficients=dyadic(d).tolist(), support_vectors=None)
    if i % 3 == 1:
        a["one_class"] = 1
    if i % 7 == 6:
        a["post_transform"] = pick("LOGISTIC", "SOFTMAX")  # nothing to one score
    x = rows(int(rng.integers(0, 6)), d, np.float32)
    R.check(f"SVMRegressor {kernel}", [node("SVMRegressor", ["x"], ["y"], **a)], {"x": x}, ["y"], tol=1e-4)


for i in range(48):
    svm_regressor(i)


def svm_classifier(i):
    d, k = int(rng.integers(1, 5)), (2, 3, 4, 5)[i % 4]
    kernel, post, proba = ("LINEAR", "POLY", "RBF", "SIGMOID")[i // 4 % 4], POSTS[i % 5], i % 3 == 0
    pairs = k * (k - 1) // 2
    if i % 8 == 7:  # a row of coefficients per class
        a = dict(coefficients=dyadic(k * d).tolist(), rho=dyadic(1).tolist(), **kernel_of("LINEAR"))
        proba = False
        kernel = "by class"
    else:
        per = rng.integers(1, 4, k)  # a class without vectors ends ONNX Runtime 1.23
        n = int(per.sum())
        a = dict(coefficients=dyadic((k - 1) * n).tolist(), support_vectors=dyadic(n * d).tolist(), vectors_per_class=per.tolist(),
                 rho=dyadic(pairs).tolist(), **kernel_of(kernel))
    if proba:
        a.update(prob_a=dyadic(pairs, -2, -0.5).tolist(), prob_b=dyadic(pairs, -0.5, 0.5).tolist())
    a["post_transform"] = post
    names = rng.permutation(50)[:k]
    a["classlabels_strings" if i % 2 else "classlabels_ints"] = [f"c{v}" for v in names] if i % 2 else names.tolist()
    x = rows(int(rng.integers(0, 6)), d, pick(np.float32, np.float32, np.float64, np.int32, np.int64))

    def fix(out):
        # The second score of PROBIT for one decision is unset in ONNX Runtime.
        if post == "PROBIT" and k == 2 and not proba and kernel != "by class":
            out["z"][:, 1], out["z"][:, 0] = out["z"][:, 0], -out["z"][:, 0]
        return out
    # PROBIT of probabilities near 0 and 1 shows that ONNX Runtime has them in float.
    R.check(f"SVMClassifier {kernel}{' with probabilities' if proba else ''}", [node("SVMClassifier", ["x"], ["y", "z"], **a)], {"x": x},
            ["y", "z"], tol=2e-2 if post == "PROBIT" else 1e-4, fix=fix)


for i in range(120):
    svm_classifier(i)

# --- columns --------------------------------------------------------------------------------------------------------------------


def columns(i):
    dtype = (np.float32, np.float64, np.int32, np.int64)[i % 4]
    real = np.dtype(dtype).kind == "f"
    n, d = int(rng.integers(0, 5)), int(rng.integers(1, 5))
    x = rows(n, d, dtype, 0.2 if real else 0)
    if i % 7 == 5 and n:
        x = x[0]
    one = i % 3 == 0

    def per(f):
        return np.asarray(f(1 if one else d)).tolist()
    if real:
        a = dict(imputed_value_floats=per(dyadic), replaced_value_float=pick(float("nan"), 0.5, 1.0, 0.0))
    else:
        a = dict(imputed_value_int64s=per(lambda k: rng.integers(-9, 9, k)), replaced_value_int64=int(pick(0, 1, -1)))
    if dtype in (np.float32, np.int64):  # all that ONNX Runtime has
        R.check("Imputer", [node("Imputer", ["x"], ["y"], **a)], {"x": x}, ["y"])
    a = dict(offset=per(dyadic), scale=per(dyadic))
    R.check("Scaler", [node("Scaler", ["x"], ["y"], **a)], {"x": x}, ["y"])
    R.check("Normalizer", [node("Normalizer", ["x"], ["y"], norm=("MAX", "L1", "L2")[i // 4 % 3])], {"x": x}, ["y"])
    if dtype == np.float32 and not np.isnan(x).any():  # ONNX Runtime has no other type and refuses NaN
        R.check("Binarizer", [node("Binarizer", ["x"], ["y"], threshold=float(pick(0.0, 0.5, -1.0)))], {"x": x}, ["y"])
    idx = rng.integers(0, x.shape[-1], int(rng.integers(1, 5))).astype(np.int64)
    for data in (x, x.astype(str).astype(object)):
        if data.size:
            R.check("ArrayFeatureExtractor", [node("ArrayFeatureExtractor", ["x", "i"], ["y"])], {"x": data, "i": idx}, ["y"])
    cube = np.stack([x, x]) if x.ndim == 2 else x.reshape(1, -1)
    if cube.size:
        R.check("ArrayFeatureExtractor", [node("ArrayFeatureExtractor", ["x", "i"], ["y"])], {"x": cube, "i": idx.reshape(1, -1)}, ["y"])
    m = int(rng.integers(1, 4))
    parts = {f"x{j}": rows(max(n, 1), int(rng.integers(1, 4)), dtype) for j in range(m)}
    want = [v.shape[1] for v in parts.values()]
    if i % 3 == 1:
        want[0] += int(pick(-1, 1, 2)) if want[0] > 1 else 1
    R.check("FeatureVectorizer", [node("FeatureVectorizer", list(parts), ["y"], inputdimensions=want)], parts, ["y"])


for i in range(40):
    columns(i)
x = rows(3, 4, np.float32)
for norm in ("MAX", "L1", "L2"):  # nothing to divide by
    R.check("Normalizer", [node("Normalizer", ["x"], ["y"], norm=norm)], {"x": x * [[0], [1], [-1]] * np.float32(1)}, ["y"])

# --- categories -------------------------------------------------------------------------------------------------------------------

WORDS = ["a", "b", "ab", "", "é", "word", "A", "b "]


def values_of(kind, n):
    if kind == "strings":
        return [str(w) for w in rng.choice(WORDS, n)]
    if kind == "floats":
        return [float(v) for v in rng.choice([0.5, 1.0, 1.5, -2.0, 0.0, -0.0, float("nan")], n)]
    return [int(v) for v in rng.integers(-3, 5, n)]


def tensor_of(kind, v, shape=None):
    t = {"strings": object, "floats": np.float32, "int64s": np.int64}[kind]
    return np.array(v, dtype=t).reshape(shape if shape is not None else (len(v),))


def categories(i):
    shape = pick((4,), (0,), (2, 3), (1, 2, 2))
    size = int(np.prod(shape))
    kinds = ("strings", "int64s", "floats")
    kk, kv = kinds[i % 3], kinds[i // 3 % 3]
    n = int(rng.integers(1, 6))
    x = tensor_of(kk, values_of(kk, size), shape)
    keys = list({repr(k): k for k in values_of(kk, n)}.values())  # of equal keys the last counts, in ONNX Runtime the first
    if kk == "floats" and 0.0 in keys and "-0.0" in map(repr, keys):
        keys = [k for k in keys if k != 0]
    a = {f"keys_{kk}": keys, f"values_{kv}": values_of(kv, len(keys))}
    if rng.random() < 0.6:
        a[f"default_{ {'strings': 'string', 'floats': 'float', 'int64s': 'int64'}[kv]}"] = values_of(kv, 1)[0]
    R.check("LabelEncoder lists", [node("LabelEncoder", ["x"], ["y"], **a)], {"x": x}, ["y"], opsets={ML: pick(2, 3, 4) if all(k == k for k in keys) else 4})
    t = pick(np.float64, np.int16, np.int64, np.float32, object)
    want = None
    if t is object:
        a = dict(keys_tensor=numpy_helper.from_array(np.array(["a", "b", "ab"], dtype=object), "k"),
                 values_tensor=numpy_helper.from_array(np.array([1, 2, 3], dtype=np.int16), "v"),
                 default_tensor=numpy_helper.from_array(np.array([-5], dtype=np.int16), "d"))
        x = tensor_of("strings", values_of("strings", size), shape)
    else:
        a = dict(keys_tensor=numpy_helper.from_array(np.array([-1, 0, 1, 2], dtype=t), "k"),
                 values_tensor=numpy_helper.from_array(np.array([4, 3, 2, 1], dtype=t), "v"))
        if rng.random() < 0.6:
            a["default_tensor"] = numpy_helper.from_array(np.array([9], dtype=t), "d")
        x = rng.integers(-3, 5, shape).astype(t)
        if t == np.int16:  # not in ONNX Runtime
            want = {"y": np.where((x >= -1) & (x <= 2), 3 - x, 9 if "default_tensor" in a else -1).astype(t)}
    R.check("LabelEncoder tensors", [node("LabelEncoder", ["x"], ["y"], **a)], {"x": x}, ["y"], opsets={ML: 4}, want=want)
    words = [str(w) for w in rng.permutation(WORDS)[:n]]
    if i % 2:
        x = tensor_of("strings", values_of("strings", size), shape)
        a, b = dict(classes_strings=words), dict(cats_strings=words)
    else:
        x = tensor_of("int64s", values_of("int64s", size), shape)
        a, b = dict(classes_strings=words), dict(cats_int64s=sorted(set(values_of("int64s", n))))
        if i % 3 == 0:
            x = x.astype(pick(np.int32, np.float32, np.float64))
    if x.dtype in (object, np.int64):
        R.check("LabelEncoder 1", [node("LabelEncoder", ["x"], ["y"], **a)], {"x": x}, ["y"], opsets={ML: 1})
        ints = [int(v) for v in rng.permutation(9)[:n]]
        c = dict(cats_strings=words, cats_int64s=ints)
        if rng.random() < 0.5:
            c["default_int64" if i % 2 else "default_string"] = -7 if i % 2 else "?"
        R.check("CategoryMapper", [node("CategoryMapper", ["x"], ["y"], **c)], {"x": x}, ["y"])
    if x.size:
        want = None
        if x.dtype == np.int32:  # not in ONNX Runtime
            want = {"y": (x[..., None] == np.array(b["cats_int64s"])).astype(np.float32)}
        R.check("OneHotEncoder", [node("OneHotEncoder", ["x"], ["y"], zeros=i % 5 != 4 or want is not None, **b)], {"x": x}, ["y"], want=want)


for i in range(45):
    categories(i)

# --- maps ---------------------------------------------------------------------------------------------------------------------------


def maps(i):
    n, k = int(rng.integers(0, 5)), int(rng.integers(1, 5))
    x = dyadic((n, k))
    if i % 7 == 6:
        x = dyadic(k)
    names = {"classlabels_strings": WORDS[:k]} if i % 2 else {"classlabels_int64s": [int(v) for v in rng.permutation(9)[:k]]}
    R.check("ZipMap", [node("ZipMap", ["x"], ["y"], **names)], {"x": x}, ["y"])
    floats = [float(v) for v in dyadic(k, -9, 9)]
    keys = [int(v) for v in rng.permutation(8)[:k]]
    words = [str(w) for w in rng.permutation(WORDS)[:k]]
    texts = [pick("1.5", " 2", "-3e1", "7 apples", "x") if i % 9 == 8 else pick("1.5", " 2", "-3e1", "41") for _ in range(k)]
    to = ("TO_FLOAT", "TO_INT64", "TO_STRING")[i % 3]
    form = dict(map_form="SPARSE", max_map=10) if i // 3 % 2 else dict(map_form="DENSE")
    # ONNX Runtime for Python takes maps to floats only; what the others must give is little.
    R.check("CastMap of floats", [node("CastMap", ["x"], ["y"], cast_to=to, **form)], {"x": dict(zip(keys, floats))}, ["y"])
    number = {"1.5": 1.5, " 2": 2.0, "-3e1": -30.0, "41": 41.0, "7 apples": 7.0}
    cast = {"TO_FLOAT": lambda t: number[t], "TO_INT64": lambda t: int(number[t]), "TO_STRING": str}[to]
    pairs = dict(zip(keys, texts))
    if to != "TO_STRING" and "x" in texts:
        want = "no number"
    else:
        row = [cast(pairs[k]) for k in sorted(pairs)] if i // 3 % 2 == 0 else \
            [cast(pairs[k]) if k in pairs else "0.f" if to == "TO_STRING" else 0 for k in range(10)]
        want = {"y": np.array([row], dtype={"TO_FLOAT": np.float32, "TO_INT64": np.int64, "TO_STRING": object}[to])}
    R.check("CastMap of strings", [node("CastMap", ["x"], ["y"], cast_to=to, **form)], {"x": pairs}, ["y"], want=want)
    vocabulary = [str(w) for w in rng.permutation(WORDS)]
    R.check("DictVectorizer", [node("DictVectorizer", ["x"], ["y"], string_vocabulary=vocabulary)], {"x": dict(zip(words, floats))}, ["y"])
    R.check("DictVectorizer", [node("DictVectorizer", ["x"], ["y"], string_vocabulary=vocabulary)], {"x": dict(zip(words, keys))}, ["y"],
            want={"y": np.array([[dict(zip(words, keys)).get(w, 0) for w in vocabulary]])})
    vocabulary = [int(v) for v in rng.permutation(8)]
    R.check("DictVectorizer", [node("DictVectorizer", ["x"], ["y"], int64_vocabulary=vocabulary)], {"x": dict(zip(keys, floats))}, ["y"])
    R.check("DictVectorizer", [node("DictVectorizer", ["x"], ["y"], int64_vocabulary=vocabulary)], {"x": pairs}, ["y"],
            want={"y": np.array([[pairs.get(v, "") for v in vocabulary]], dtype=object)})


for i in range(24):
    maps(i)

# --- text of ai.onnx ------------------------------------------------------------------------------------------------------------------


def tfidf(i):
    strings = i % 2 == 1
    alphabet = ["a", "b", "c", "é", ""] if strings else [0, 1, 2, 3, -4]
    longest = int(rng.integers(1, 4))
    pool, counts, grams = [], [], 0
    for length in range(1, longest + 1):
        counts.append(len(pool))
        seen = {tuple(int(v) for v in rng.integers(0, 5, length)) for _ in range(int(rng.integers(1, 6)))}
        for g in sorted(seen):
            pool += [alphabet[v] for v in g]
            grams += 1
    lo = int(rng.integers(1, longest + 1))
    a = dict(mode=("TF", "IDF", "TFIDF")[i // 2 % 3], min_gram_length=lo, max_gram_length=int(rng.integers(lo, longest + 1)),
             max_skip_count=int(pick(0, 0, 1, 2, 5)), ngram_counts=counts, ngram_indexes=[int(v) for v in rng.permutation(grams)])
    if rng.random() < 0.6:
        a["weights"] = dyadic(grams).tolist()
    a["pool_strings" if strings else "pool_int64s"] = pool
    shape = pick((9,), (3, 6), (2, 1), (1, 12), (0,) if strings else (0, 4), (0,))
    v = rng.integers(0, 5, shape)
    x = np.array(alphabet, dtype=object if strings else pick(np.int32, np.int64))[v]
    want = {"y": np.zeros((0, grams), np.float32)} if shape == (0, 4) else None  # refused by ONNX Runtime
    R.check(f"TfIdfVectorizer of {'strings' if strings else 'numbers'}", [helper.make_node("TfIdfVectorizer", ["x"], ["y"], **a)], {"x": x},
            ["y"], want=want)


for i in range(90):
    tfidf(i)


def normalizer(i):
    words = ["The", "the", "THE", "cat", "Été", "été", "ÖL", "Ж", "ж", "straße", "", "a1 B"]
    x = np.array(rng.choice(words, int(rng.integers(1, 6))), dtype=object)
    if i % 2:
        x = x.reshape(1, -1)
    a = dict(locale="C.UTF-8", case_change_action=("NONE", "LOWER", "UPPER")[i % 3], is_case_sensitive=int(rng.integers(0, 2)))
    if rng.random() < 0.7:
        a["stopwords"] = [str(w) for w in rng.choice(words, int(rng.integers(1, 4)))]
    R.check("StringNormalizer", [helper.make_node("StringNormalizer", ["x"], ["y"], **a)], {"x": x}, ["y"], fixed=True)


for i in range(48):
    normalizer(i)

R.end()
