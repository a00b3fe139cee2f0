#!/usr/bin/env python3
"""make_resized.py - prints tests/image/resized.h: what Pillow's bilinear resize makes of a small picture. Needs Pillow (13.0)."""
import numpy as np
from PIL import Image

H, W = 11, 17
pixels = ((np.arange(H * W * 3, dtype=np.uint64) * 2654435761) >> 13).astype(np.uint8).reshape(H, W, 3)
image = Image.fromarray(pixels)
print("/* Made by make_resized.py: { height, width, pixels as Pillow resizes tests' 11 x 17 picture } */")
print("/* clang-format off */")
print("static const struct { int h, w; const char *rgb; } resized[] = {")
for h, w in [(11, 17), (5, 17), (11, 4), (3, 5), (1, 1), (13, 29), (22, 6)]:
    out = np.asarray(image.resize((w, h), Image.BILINEAR)).tobytes().hex()
    lines = "\n     ".join(f'"{out[i:i + 110]}"' for i in range(0, len(out), 110))
    print(f"    {{{h}, {w},\n     {lines}}},")
print("};")
