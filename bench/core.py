"""bench-core: runs the jobs of bench_core and their peers in turn, prints the table, writes build/bench/core.json.

Absolute times on shared machines mean little: the figures to read are ratios, pair by pair, of processor time.
"""
import json, os, shutil, statistics, subprocess, sys, tempfile, time

BUILD = sys.argv[1]
PAIRS = int(os.environ.get("BENCH_PAIRS", "5"))
CORE = f"{BUILD}/bench/bench_core"
USTA = f"{BUILD}/src/cli/usta"
TMP = f"{BUILD}/bench"
os.makedirs(TMP, exist_ok=True)

PANDAS = """
import json, sys, time, resource
import pandas as pd
def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF); return r.ru_utime + r.ru_stime
t = cpu(); d = pd.read_csv(sys.argv[1])
d.describe(); d.nunique()
print(json.dumps({"cpu_s": cpu() - t}))
"""
TORCH = """
import json, sys, time, resource, torch
torch.set_num_threads(1)
def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF); return r.ru_utime + r.ru_stime
torch.manual_seed(1)
x = torch.randn(4096, 64); y = torch.randint(0, 10, (4096,))
m = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
o = torch.optim.Adam(m.parameters()); f = torch.nn.functional.cross_entropy
def step(i):
    j = (i * 64) % 4096
    l = f(m(x[j:j+64]), y[j:j+64]); o.zero_grad(); l.backward(); o.step()
for i in range(100): step(i)
n = int(sys.argv[1]); t = cpu()
for i in range(n): step(i)
print(json.dumps({"cpu_us_per_step": (cpu() - t) * 1e6 / n}))
"""


def job(*argv):
    return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def peer(code, *argv):
    p = subprocess.run(["/usr/bin/python3", "-c", code, *argv], capture_output=True, text=True)
    return json.loads(p.stdout) if p.returncode == 0 else None


def wall(argv, n, cwd=None):
    times = []
    for _ in range(n):
        t = time.perf_counter()
        subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - t)
    return statistics.median(times) * 1e3


def med(v):
    return statistics.median(v) if v else None


rows = []


def row(what, value, unit, peer_value=None, peer_name="", ratio=None, goal=""):
    rows.append(dict(what=what, value=value, unit=unit, peer=peer_value, peer_name=peer_name, ratio=ratio, goal=goal))


# --- CSV -------------------------------------------------------------------------------------------------
csv = f"{TMP}/numbers.csv"
if not os.path.exists(csv):
    subprocess.run([CORE, "gen", csv, "1000000", "20"], check=True)
parse, profile, pandas, ratios = [], [], [], []
for _ in range(PAIRS):
    p = job(CORE, "parse", csv)
    parse.append(p["bytes"] / p["cpu_s"] / 1e6)
    f = job(CORE, "profile", csv)["cpu_s"]
    profile.append(f)
    q = peer(PANDAS, csv)
    if q:
        pandas.append(q["cpu_s"])
        ratios.append(q["cpu_s"] / f)
row("CSV parse, 1,000,000 x 20 numbers, one core", med(parse), "MB/s", goal=">= 300")
row("CSV parse + schema + statistics", med(profile), "s CPU", med(pandas), "pandas read_csv + describe + nunique",
    med(ratios), ">= 4 x less")

# --- training --------------------------------------------------------------------------------------------
own, torch, ratios = [], [], []
for _ in range(PAIRS):
    a = job(CORE, "train", "20000")["cpu_us_per_step"]
    own.append(1e6 / a)
    q = peer(TORCH, "5000")
    if q:
        torch.append(1e6 / q["cpu_us_per_step"])
        ratios.append(q["cpu_us_per_step"] / a)
row("training steps, MLP 64-128-10, batch 64, Adam", med(own), "steps/s CPU", med(torch), "PyTorch 1 thread", med(ratios))

# --- start-up and no-op ------------------------------------------------------------------------------------
row("usta --version", wall([USTA, "--version"], 50), "ms", goal="< 5")
with tempfile.TemporaryDirectory() as d:
    for f in ("usta.yaml", "digits.csv.gz"):
        shutil.copy(f"examples/digits/{f}", d)
    usta = os.path.abspath(USTA)
    subprocess.run([usta, "run"], cwd=d, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    row("no-op `usta run` (digits)", wall([usta, "run"], 30, d), "ms", goal="< 10")


# --- sizes -------------------------------------------------------------------------------------------------
def stripped(path):
    out = f"{TMP}/stripped"
    subprocess.run(["strip", "-o", out, path], check=True)
    return os.path.getsize(out) / 1e6


lib = next((f"{BUILD}/src/{f}" for f in sorted(os.listdir(f"{BUILD}/src")) if f.startswith("libusta.so.") and not f.endswith((".p", ".symbols"))), None)
if lib:
    row("engine library, stripped", stripped(os.path.realpath(lib)), "MB", goal="< 2")
row("program, stripped", stripped(USTA), "MB")

print(f"\n{'what':<48}{'usta':>12} {'unit':<12}{'peer':>12}  {'ratio':>6}  goal")
for r in rows:
    peer_text = f"{r['peer']:.4g}" if r["peer"] is not None else "absent" if r["peer_name"] else ""
    ratio = f"{r['ratio']:.2f}" if r["ratio"] is not None else ""
    print(f"{r['what']:<48}{r['value']:>12.4g} {r['unit']:<12}{peer_text:>12}  {ratio:>6}  {r['goal']}"
          + (f"  ({r['peer_name']})" if r["peer_name"] else ""))
with open(f"{TMP}/core.json", "w") as f:
    json.dump(rows, f, indent=1)
keys = ["parse_mb_s", "profile_cpu_s", "train_steps_s", "version_ms", "noop_ms"]
print("bench core: " + " ".join(f"{k}={r['value']:.4g}" for k, r in zip(keys, rows))
      + "".join(f" {n}={r['ratio']:.3g}" for n, r in (("profile_ratio", rows[1]), ("train_ratio", rows[2])) if r["ratio"]))
