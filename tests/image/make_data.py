#!/usr/bin/env python3
"""make_data.py DIR - the pictures of tests/image/data, and beside each what Pillow makes of it (NAME.ppm).

Kept for the record and for new cases; the tests do not run it. Needs Pillow (13.0 made what is committed) and NumPy.
"""
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)
H, W = 7, 13
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([x * 19, y * 36, 255 - (x * y * 3)], axis=2).astype(np.uint8)
noise = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
color, gray = Image.fromarray(rgb), Image.fromarray(rgb).convert("L")
alpha = Image.fromarray(np.dstack([rgb, (x * 20).astype(np.uint8)]))


def save(name, image, **options):
    image.save(out / name, **options)
    want(name)


def raw(name, data):
    (out / name).write_bytes(data)
    want(name)


def want(name):
    with Image.open(out / name) as im:
        im.convert("RGB").save(out / (name + ".ppm"))


def expect(name, pixels):
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(out / (name + ".ppm"))


save("rgb.png", Image.fromarray(noise))
save("gray.png", gray)
save("palette.png", color.quantize(16))
save("bits.png", gray.point(lambda v: 255 * (v > 128)).convert("1"))
# Pillow writes no interlaced files.
passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
rows = b"".join(b"\0" + r.tobytes() for x0, y0, dx, dy in passes for r in noise[y0::dy, x0::dx] if r.size)
chunks = [(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, 2, 0, 0, 1)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
raw("interlaced.png", b"\x89PNG\r\n\x1a\n" + b"".join(
    struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks))
save("rgb420.jpg", color, quality=90, subsampling=2)
save("progressive.jpg", color, quality=60, progressive=True)
save("gray.jpg", gray, quality=80)
save("cmyk.jpg", color.convert("CMYK"), quality=95)
save("lossy.webp", color, quality=80)
save("lossless.webp", Image.fromarray(noise), lossless=True)
for compression in ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]:
    save(f"{compression}.tif", color, compression=compression)
save("palette.tif", color.quantize(8))
save("gray.tif", gray)
save("bits.tif", gray.point(lambda v: 255 * (v > 128)).convert("1"), compression="group4")
save("rgb.jp2", Image.fromarray(noise))
save("gray.j2k", gray)
save("rgb.bmp", Image.fromarray(noise))
save("palette.bmp", color.quantize(16))
save("bits.bmp", gray.point(lambda v: 255 * (v > 128)).convert("1"))
save("rgb.ppm6", Image.fromarray(noise), format="PPM")
save("gray.pgm", gray)
save("bits.pbm", gray.point(lambda v: 255 * (v > 128)).convert("1"))
raw("plain.pbm", b"P1\n# a comment\n3 2\n010\n1 1 0\n")
raw("plain.pgm", b"P2 3 2 # width, height\n9\n0 1 2\n7 8 9\n")
raw("plain.ppm3", b"P3\n2 1\n255\n1 2 3 250 251 252")
# What Pillow does otherwise or not at all: 16 bits are rounded to 8, alpha is dropped, not blended.
save("alpha.png", alpha)
expect("alpha.png", rgb)
save("alpha.webp", alpha, lossless=True, exact=True)
expect("alpha.webp", rgb)
deep = (rgb[:, :, 0].astype(np.uint16) * 257 + (x % 5) * 40).clip(0, 65535).astype(np.uint16)
save("deep.png", Image.fromarray(deep))
expect("deep.png", np.repeat(((deep.astype(np.uint32) * 255 + 32895) >> 16)[:, :, None], 3, 2))
raw("deep.pgm", b"P5 13 7 65535\n" + deep.astype(">u2").tobytes())
expect("deep.pgm", np.repeat(((deep.astype(np.uint32) * 255 + 32767) // 65535)[:, :, None], 3, 2))


def bmp(bits, compression, colors, data, h=H, header=40, masks=b""):
    head = struct.pack("<IiiHHIIiiII", header, W, h, 1, bits, compression, len(data), 0, 0, len(colors) // 4, 0)
    start = 14 + len(head) + len(masks) + len(colors)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + masks + colors + data


v = (rgb[:, :, 0].astype(int) >> 3 << 10) | (rgb[:, :, 1].astype(int) >> 3 << 5) | (rgb[:, :, 2].astype(int) >> 3)
rows = np.zeros((H, W + W % 2), dtype="<u2")
rows[:, :W] = v
five = np.stack([v >> 10 & 31, v >> 5 & 31, v & 31], 2)
(out / "rgb555_down.bmp").write_bytes(bmp(16, 0, b"", rows.tobytes(), h=-H))
expect("rgb555_down.bmp", (five * 255 + 15) // 31)
rows = (rgb[::-1, :, 0].astype("<u4") << 24) | (rgb[::-1, :, 1].astype("<u4") << 12) | rgb[::-1, :, 2]
(out / "fields32.bmp").write_bytes(bmp(32, 3, b"", rows.astype("<u4").tobytes(), masks=struct.pack("<III", 0xFF000000, 0xFF000, 0xFF)))
expect("fields32.bmp", rgb)
pal = bytes(sum(([i * 16, 255 - i * 16, i * 3, 0] for i in range(16)), []))
colors = np.frombuffer(pal, np.uint8).reshape(16, 4)[:, 2::-1]
index = np.zeros((H, W), int)  # from the bottom
index[0] = 5
index[1] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
index[2, :3] = 7
index[4, 2:6] = 9
rle8 = bytes([13, 5, 0, 0, 0, 13] + list(index[1]) + [0] + [0, 0] + [3, 7] + [0, 0] + [0, 2, 2, 1] + [4, 9] + [0, 1])
(out / "rle8.bmp").write_bytes(bmp(8, 1, pal, rle8))
expect("rle8.bmp", colors[index[::-1]])
lit = [1 << 4 | 2, 3 << 4 | 4, 5 << 4 | 6, 7 << 4 | 8, 9 << 4 | 10, 11 << 4 | 12, 13 << 4, 0]
rle4 = bytes([13, 0x55, 0, 0, 0, 13] + lit + [0, 0] + [3, 0x77] + [0, 0] + [0, 2, 2, 1] + [4, 0x99] + [0, 1])
(out / "rle4.bmp").write_bytes(bmp(4, 2, pal, rle4))
expect("rle4.bmp", colors[index[::-1]])
