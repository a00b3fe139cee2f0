"""text_ort.py: operators on text, Unique, MaxRoiPool and sequences that grow in loops against ONNX Runtime (see ort_diff.py)."""
import numpy as np
from onnx import TensorProto, helper
from ort_diff import Report

R = Report()
rng = np.random.default_rng(20251121)


def pick(*xs):
    return xs[rng.integers(len(xs))]


def op(name, ins, outs, **attrs):
    return [helper.make_node(name, ins, outs, **attrs)]


# --- RegexFullMatch -------------------------------------------------------------------------------------------------------------

PATTERNS = r"""
||abc|a.c|a\.c|.*|.+|a*|a+b?|(a|b)*c|(?:ab)+|[abc]+|[^abc]+|[a-c]{2}|[a-c]{2,}|[a-c]{1,3}|a{0}|a{0,1}b|(a{2}){2}|\d+|\D+|\w+|\W+|\s*|\S+
^abc$|^a|c$|(^a)b|a(b$)|\bab\b|\Bab|a\b|\b|\B|a\B|[[:alpha:]]+|[[:digit:]x]+|[[:^alpha:]]+|[\d.]+|[\w-]+|[]a]+|[^]a]+|[a\]b]+|[a-]+|[-a]+
\x41+|\x{e9}|\t|\n|a\nb|.|..|é|é+|[é]|[à-ÿ]+|[^é]|\pL+|\p{L}+|\PL+|\p{Lu}|\p{Greek}+|\P{Greek}+|[\p{L}]+|\p{Nd}+|\p{N}+|\p{P}+|\p{Ll}+
(?i)abc|(?i:a)bc|a(?i)bc|(?i)É|(?s).*|(?s)a.b|(?m)^a$|(?U)a+|(?-s).|(?is)A.B|(?i)[a-c]+|(?i)[^a]+|(?i)ſ|(?i)k
(?P<name>ab)c|(?<name>ab)c|\Qa.c\E|\Qa.c|a\Q*\E|a*?|a+?|a??|(a*)*|(a*)+|(a|)*b|a**|a{,2}|a{1|a{|x{2}{3}|\A|\z|\Aab\z|(?i)(?P<x>A)|\C
\e|\8|[z-a]|(|)|a)|[a|*a|+|?|a{2,1}|a{1001}|(?P<1>a)|(?P=a)|\1|(?=a)|(?<!a)|(?#c)|\pX|\p{Foo}|[[:foo:]]|a|b|()|(a)(b)|a||b||\.|\\|\/|\-|\_
[\s\S]+|[\D\d]|[^\d]+|[^\D]+|[\x41-\x43]+|[a-\x63]+|[\Q]\E]|\a|\f|\v|\r|\0|\01|\012|\141|[\141]|(?i)[A-Z]{2,3}|a.*b.*c|(a.*){3}|(x+x+)+y
""".replace("\n", "|\n|").split("|\n|")
TEXTS = ["", "a", "b", "c", "ab", "abc", "a.c", "aXc", "aabb", "abab", "aaaa", "ABC", "aBc", "AAA", "A", "É", "é", "éé", "àé", "a\nb", "\n", "\t", "a b", " ", "12",
         "1.5", "x9_", "-", "a-b", "]", "a]", "λόγος", "Σ", "ÀÉ", "a*", "a{,2}", "a{", "a{1", "x" * 6, "x" * 25, "١٢", "漢字", "!?", "K", "ſ", "\x07", "\\", "/", ".", "k",
         "\u212a", "aab", "A\nB", "b\nc"]


def patterns():
    """The table's cells; a pattern may itself hold bars, so bars between parentheses or brackets do not part."""
    out = []
    for line in PATTERNS:
        depth, cell, i = 0, "", 0
        while i < len(line):
            ch = line[i]
            if ch == "\\":
                cell += line[i:i + 2]
                i += 2
                continue
            depth += (ch == "(") - (ch == ")")
            if ch == "|" and depth <= 0:
                out.append(cell)
                cell, depth = "", 0
            else:
                cell += ch
            i += 1
        out.append(cell)
    return list(dict.fromkeys(out)) + ["a|b", "a|", "|a", "a||b", "(a|b|)c", "ab|abc|a"]


x = np.array(TEXTS, dtype=object)
for p in patterns():
    if p == "\\C" or r"\p" in p.lower():  # known and refused
        continue
    R.check("RegexFullMatch", op("RegexFullMatch", ["x"], ["y"], pattern=p), {"x": x}, ["y"], fixed=True)


def random_pattern(depth):
    r = rng.random()
    if depth == 0 or r < 0.3:
        return str(rng.choice(["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\b", "é", "^", "$"]))
    if r < 0.6:
        return random_pattern(depth - 1) + random_pattern(depth - 1)
    if r < 0.75:
        return f"({random_pattern(depth - 1)}|{random_pattern(depth - 1)})"
    return f"(?:{random_pattern(depth - 1)}){rng.choice(['*', '+', '?', '{2}', '{1,3}', '*?'])}"


for _ in range(60):
    words = ["".join(str(c) for c in rng.choice(list("abcé \n"), int(rng.integers(0, 7)))) for _ in range(40)]
    R.check("RegexFullMatch, random", op("RegexFullMatch", ["x"], ["y"], pattern=random_pattern(4)), {"x": np.array(words, dtype=object)}, ["y"])

# --- StringSplit, StringConcat ---------------------------------------------------------------------------------------------------

LINES = ["", " ", "a", "a b", "  a  b c ", "a,b", ",a,,b,", "a, b", "ab--cd--", "--", "a\tb\nc", "é ü", "a b", "a  b"]
for i in range(40):
    shape = pick((3,), (2, 2), (1,), (2, 1, 2))
    x = np.array(rng.choice(LINES, shape), dtype=object)
    a = {}
    if i % 2:
        a["delimiter"] = pick("", ",", "--", " ", ", ", "é")
    if i % 3:
        a["maxsplit"] = int(rng.integers(0, 4))
    # Where ONNX Runtime and the text part (it splits at no white space but blanks, and has no part of "" with a delimiter), the
    # reference is Python's split, as in ONNX; the text also says that white space at the end goes.
    by = a.get("delimiter") or None
    parts = [(v if by else v.strip()).split(by, a.get("maxsplit", -1)) for v in x.ravel()]
    most = max(map(len, parts))
    y = np.array([[*p, *[""] * (most - len(p))] for p in parts], dtype=object).reshape(x.shape + (most,))
    R.check("StringSplit", op("StringSplit", ["x"], ["y", "z"], **a), {"x": x}, ["y", "z"],
            want={"y": y, "z": np.array([len(p) for p in parts]).reshape(x.shape)})
    y = np.array(rng.choice(LINES, pick((2,), (1,), (2, 2), (3, 1))), dtype=object)
    x = np.array(rng.choice(LINES, pick((2,), (1,), (2, 2))), dtype=object)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        continue
    R.check("StringConcat", op("StringConcat", ["x", "y"], ["z"]), {"x": x, "y": y}, ["z"])

# --- Unique ------------------------------------------------------------------------------------------------------------------------


def unique(i):
    dtype = (np.float32, np.float64, np.int64, np.int8, object)[i % 5]
    shape = pick((7,), (3, 4), (2, 3, 2), (0,), (1,), (4, 0))
    if dtype is object:
        shape = shape if np.prod(shape) else (5,)
        x = np.array(rng.choice(["b", "a", "", "é", "B", "ab", "a"], shape), dtype=object)
    else:
        x = rng.integers(-2, 3, shape).astype(dtype)
        if np.dtype(dtype).kind == "f" and i % 2:
            x = np.where(rng.random(shape) < 0.2, -0.0, x).astype(dtype)
    a = dict(sorted=i % 3 != 0)
    if i % 2 and x.ndim > 1:
        a["axis"] = int(rng.integers(-x.ndim, x.ndim))
    if "axis" in a and 0 in x.shape:
        a.pop("axis")
    names = ["y", "first", "inverse", "count"]
    R.check("Unique", op("Unique", ["x"], names, **a), {"x": x}, names)


for i in range(60):
    unique(i)
# All NaN are one value, as in NumPy and in the reference; ONNX Runtime makes them equal to whatever stands before them.
nan = np.array([2, np.nan, 1, np.nan, -np.inf, np.inf, 2], dtype=np.float32)
names = ["y", "first", "inverse", "count"]
want = [np.array(v) for v in ([-np.inf, 1, 2, np.inf, np.nan], [4, 2, 0, 5, 1], [2, 4, 1, 4, 0, 3, 2], [1, 1, 2, 1, 2])]
R.check("Unique of NaN", op("Unique", ["x"], names), {"x": nan}, names, want=dict(zip(names, [want[0].astype(np.float32)] + want[1:])))
want = [np.array(v) for v in ([2, np.nan, 1, -np.inf, np.inf], [0, 1, 2, 4, 5], [0, 1, 2, 1, 3, 4, 0], [2, 2, 1, 1, 1])]
R.check("Unique of NaN", op("Unique", ["x"], names, sorted=0), {"x": nan}, names, want=dict(zip(names, [want[0].astype(np.float32)] + want[1:])))

# --- MaxRoiPool ----------------------------------------------------------------------------------------------------------------------

for i in range(30):
    n, c, h, w = int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.integers(3, 9)), int(rng.integers(3, 9))
    x = rng.standard_normal((n, c, h, w)).astype(np.float32)
    k = int(rng.integers(1, 4))
    scale = pick(1.0, 0.5, 0.25)
    lo = rng.uniform(-1, 4, (k, 2)) / scale
    rois = np.concatenate([rng.integers(0, n, (k, 1)), lo, lo + rng.uniform(-1, 6, (k, 2)) / scale], axis=1)
    if i % 2:
        rois = np.round(rois)
    R.check("MaxRoiPool", op("MaxRoiPool", ["x", "r"], ["y"], pooled_shape=[int(rng.integers(1, 4)), int(rng.integers(1, 4))], spatial_scale=scale),
            {"x": x, "r": rois.astype(np.float32)}, ["y"])

# --- sequences that grow in loops -------------------------------------------------------------------------------------------------------


def growing(dtype, shape_grows, at, end):
    """A sequence carried by a Loop gets one more tensor per round; at: where it is put; end: what is made of it."""
    t = helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) if dtype is not object else TensorProto.STRING
    seq = helper.make_sequence_type_proto(helper.make_tensor_type_proto(t, None))
    body_nodes = [helper.make_node("Identity", ["c"], ["c2"])]
    item = "x"
    if shape_grows:
        body_nodes += [helper.make_node("Concat", ["last", "x"], ["now"], axis=0)]
        item = "now"
    else:
        body_nodes += [helper.make_node("Identity", ["last"], ["now"])]
    body_nodes += [helper.make_node("SequenceInsert", ["s", item] + (["at"] if at else []), ["s2"])]
    body = helper.make_graph(body_nodes, "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                              helper.make_value_info("s", seq), helper.make_tensor_value_info("last", t, [None])],
                             [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), helper.make_value_info("s2", seq),
                              helper.make_tensor_value_info("now", t, [None])])
    nodes = [helper.make_node("SequenceEmpty", [], ["s0"], dtype=t), helper.make_node("Constant", [], ["at"], value_int=0),
             helper.make_node("Loop", ["n", "", "s0", "x"], ["all", "lastnow"], body=body), helper.make_node("SequenceLength", ["all"], ["len"])]
    outputs = ["len"]
    if end == "concat":
        nodes.append(helper.make_node("ConcatFromSequence", ["all"], ["y"], axis=0))
        outputs.append("y")
    elif end == "at":
        nodes += [helper.make_node("Constant", [], ["k"], value_int=-1), helper.make_node("SequenceAt", ["all", "k"], ["y"])]
        outputs.append("y")
    else:
        nodes += [helper.make_node("SequenceErase", ["all"], ["rest"]), helper.make_node("SequenceLength", ["rest"], ["y"])]
        outputs.append("y")
    return nodes, outputs


for dtype in (np.float32, np.int64, object):
    for grows in (False, True):
        for at in (False, True):
            for end in ("concat", "at", "erase"):
                nodes, outputs = growing(dtype, grows, at, end)
                x = np.array(["p", "é"], dtype=object) if dtype is object else np.array([1, 2], dtype=dtype)
                R.check("Loop that grows a sequence", nodes, {"n": np.array(int(rng.integers(1, 5))), "x": x}, outputs)

R.end()
