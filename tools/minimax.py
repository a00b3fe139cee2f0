#!/usr/bin/env python3
"""minimax.py - the polynomial coefficients of src/kernel/simd/math.inc, as they were computed.

Least largest error by Lawson's reweighted least squares in 60 digits (C. L. Lawson, 1961; J. R. Rice and K. H. Usow, "The Lawson algorithm and
extensions", Math. Comp. 22, 1968), weighted besides, so that what is small is the error of the final result. Coefficients are rounded to float one after the other, lowest degree first, the
rest fitted again each time. Needs mpmath; prints every table with its largest error in units of 2^-24.
"""
import mpmath as mp
import numpy as np

mp.mp.dps = 60


def fit(basis, f, w, lo, hi):
    """coefficients with the least largest |w (f - p)|"""
    n, points = len(basis), 160
    xs = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * i / (points - 1)) for i in range(points)]
    xs = [x if x else (hi - lo) * mp.mpf(10) ** -12 for x in xs]
    fs = [f(x) for x in xs]
    ws = [w(x) for x in xs]
    powers = [[x**k for k in basis] for x in xs]
    lawson = [mp.mpf(1)] * points
    best = None
    for _ in range(25):
        a, b = mp.matrix(n, n), mp.matrix(n, 1)
        for p, y, wt, l in zip(powers, fs, ws, lawson):
            t = l * wt**2
            for i in range(n):
                b[i] += t * p[i] * y
                for j in range(n):
                    a[i, j] += t * p[i] * p[j]
        c = mp.lu_solve(a, b)
        err = [abs(wt * (y - sum(c[i] * p[i] for i in range(n)))) for p, y, wt in zip(powers, fs, ws)]
        if best is None or max(err) < best[0]:
            best = (max(err), [c[i] for i in range(n)])
        total = sum(l * e for l, e in zip(lawson, err))
        if total == 0:
            break
        lawson = [l * e / total * points + mp.mpf(10) ** -9 for l, e in zip(lawson, err)]
    return best[1]


def table(name, basis, f, w, lo, hi):
    """prints the coefficients of sum c_k x^k, lowest degree first"""
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    left, fixed = list(basis), []
    while left:
        g = lambda x: f(x) - sum(c * x**k for c, k in fixed)
        c = fit(left, g, w, lo, hi)
        fixed.append((mp.mpf(float(np.float32(float(c[0])))), left.pop(0)))
    xs = [lo + (hi - lo) * i / 1000 for i in range(1001)]
    e = max(abs(w(x) * (f(x) - sum(c * x**k for c, k in fixed))) for x in xs)
    print("%s on [%s, %s]: %.3f * 2^-24" % (name, mp.nstr(lo, 8), mp.nstr(hi, 8), float(e * 2**24)))
    for c, k in fixed:
        print("    x^%d  %s  %.9g" % (k, float(c).hex(), float(c)))


def quotient(name, m, n, f, w, most, steps=60):
    """prints P and Q of P(x^2) / Q(x^2), Q(0) = 1, least largest |w (f - P/Q)| on [0, most]: linearised, reweighted by Q and by Lawson"""
    x = most / 2 * (1 - np.cos(np.pi * (np.arange(2000) + 0.5) / 2000))
    s, fs, ws = (x / most) ** 2, np.array([float(f(v)) for v in x]), np.array([float(w(v)) for v in x])
    a = np.stack([s**k for k in range(m + 1)], 1)
    b = np.stack([s**k for k in range(1, n + 1)], 1)
    lawson, q, best = np.ones(len(x)), np.ones(len(x)), None
    for _ in range(steps):
        by = np.sqrt(lawson) * ws / np.abs(q)
        c = np.linalg.lstsq(np.concatenate([a * by[:, None], -b * (fs * by)[:, None]], 1), fs * by, rcond=None)[0]
        q = 1 + b @ c[m + 1:]
        e = np.abs(ws * (a @ c[:m + 1] / q - fs))
        if best is None or e.max() < best[0]:
            best = (e.max(), c)
        lawson *= e / e.mean() + 1e-3
        lawson /= lawson.mean()
    print("%s on [0, %s]: %.3f * 2^-24" % (name, most, best[0] * 2**24))
    for i, v in enumerate(best[1]):
        k = i if i <= m else i - m
        print("    %s%d  %s" % ("P" if i <= m else "Q", k, float(np.float32(v / most ** (2 * k))).hex()))


def main():
    half = mp.log(2) / 2 * mp.mpf("1.0001")
    # exp(r) = 1 + r + r^2 P(r)
    safe = lambda f, at, v: (lambda x: v if x == at else f(x))
    table("EXP", range(5), safe(lambda r: (mp.exp(r) - 1 - r) / r**2, 0, mp.mpf(1) / 2), lambda r: r**2 / mp.exp(r), -half, half)
    # exp(r) = 1 + r P(r), for the weights of a softmax (rows.inc)
    table("WEIGHT", range(1, 6), lambda r: mp.exp(r) - 1, lambda r: 1 / mp.exp(r), -half, half)
    # expm1(r) = r + r^2 P(r), relative to expm1
    table("EXPM1", range(6), safe(lambda r: (mp.exp(r) - 1 - r) / r**2, 0, mp.mpf(1) / 2),
          safe(lambda r: r**2 / abs(mp.expm1(r)), 0, mp.mpf(0)), -half, half)
    # log(1 + f) = f - f^2/2 + f^3 Q(f)
    table("LOG", range(8), safe(lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3, 0, mp.mpf(1) / 3),
          safe(lambda f: f**3 / mp.log1p(f), 0, mp.mpf(0)), mp.mpf(-1) / 3, mp.mpf(1) / 3)
    # erf(x) = x + x P(x^2)
    table("ERF_SMALL", range(6), lambda s: mp.erf(mp.sqrt(s)) / mp.sqrt(s) - 1 if s else 2 / mp.sqrt(mp.pi) - 1,
          lambda s: mp.sqrt(s) / mp.erf(mp.sqrt(s)) if s else mp.sqrt(mp.pi) / 2, 0, mp.mpf("0.875") ** 2)
    # erf(x) = 1 - exp(-x - x P(x))
    table("ERF_LARGE", range(7), lambda x: -mp.log(mp.erfc(x)) / x - 1, lambda x: x * mp.erfc(x) / mp.erf(x), mp.mpf("0.875"), mp.mpf(4))
    # erf(x / sqrt 2) / 2 = x P(x^2) / Q(x^2); math.inc's differ in last places: see gelu_of
    quotient("GELU", 5, 5, lambda x: mp.erf(x / mp.sqrt(2)) / 2 / x, lambda x: x, 5.4, 200)
    q = mp.pi / 4 * mp.mpf("1.0001")
    # sin(r) = r + r^3 P(r^2); cos(r) = 1 - r^2/2 + r^4 P(r^2)
    table("SIN", range(4), lambda s: (mp.sin(mp.sqrt(s)) / mp.sqrt(s) - 1) / s if s else -mp.mpf(1) / 6, lambda s: s, 0, q**2)
    table("COS", range(4), lambda s: (mp.cos(mp.sqrt(s)) - 1 + s / 2) / s**2 if s else mp.mpf(1) / 24, lambda s: s**2, 0, q**2)


main()
