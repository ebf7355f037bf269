"""Writes the images of this folder and what Pillow makes of them.

Run by hand with Pillow and numpy; the images are made up here. expected.txt has a line for each: its name, and in
hexadecimal the bytes of convert("RGB") and convert("L").
"""

import io
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image

HERE = pathlib.Path(__file__).parent
W, H = 21, 13
generator = np.random.default_rng(7)
y, x = np.mgrid[0:H, 0:W]
smooth = np.stack([x * 12, y * 19, (x + y) * 7], -1).astype(np.uint8)
noisy = np.clip(smooth + generator.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)
rgb = Image.fromarray(noisy)
files = {}


def jpeg(name, image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    files[name + ".jpg"] = out.getvalue()


def png(name, image, **options):
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    files[name + ".png"] = out.getvalue()


def raw_png(name, depth, color, rows, palette=None, interlace=0, more=b""):
    """For kinds that Pillow does not write. `rows`: packed bytes of each row."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, depth, color, 0, 0, interlace)) + more
    if palette is not None:
        out += chunk(b"PLTE", palette)
    out += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)) + chunk(b"IEND", b"")
    files[name + ".png"] = out


def packed(values, depth):
    rows = []
    for row in values:
        bits = "".join(format(int(v), "0%db" % depth) for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    return rows


def adam7(values, depth):
    rows = []
    for top, left, down, right in [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]:
        part = values[top::down, left::right]
        if part.size:
            rows += packed(part.reshape(part.shape[0], -1), depth)
    return rows


for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
    jpeg("rgb_" + subsampling.replace(":", ""), rgb, quality=90, subsampling=subsampling)
jpeg("progressive", rgb, quality=75, progressive=True)
jpeg("restart", rgb, quality=60, restart_marker_blocks=1)
jpeg("gray", rgb.convert("L"), quality=85)
jpeg("cmyk", rgb.convert("CMYK"), quality=90)
exif = Image.Exif()
exif[0x0112] = 6  # to be turned: Pillow leaves that to its user
jpeg("turned", rgb, quality=80, exif=exif)

alpha = np.dstack([noisy, (x * 11).astype(np.uint8)])
png("rgb8", rgb)
png("rgba8", Image.fromarray(alpha))
png("gray8", rgb.convert("L"))
png("graya8", Image.fromarray(alpha).convert("LA"))
png("palette8", rgb.quantize(40))
png("palette_transparent", rgb.quantize(40), transparency=bytes(range(0, 200, 5)))
png("rgb_transparent", rgb, transparency=(12, 19, 7))
png("bilevel", rgb.convert("1"))
wide = (noisy.astype(np.uint32) * 257 + generator.integers(0, 256, noisy.shape)).astype(np.uint16)
raw_png("rgb16", 16, 2, [row.reshape(-1).astype(">u2").tobytes() for row in wide])
raw_png("graya16", 16, 4, [row[:, :2].reshape(-1).astype(">u2").tobytes() for row in wide])
raw_png("rgba16", 16, 6, [np.dstack([row[None], row[None, :, :1]]).reshape(-1).astype(">u2").tobytes() for row in wide])
raw_png("gray16", 16, 0, [(row[:, 0] // 100).astype(">u2").tobytes() for row in wide])
for depth in (1, 2, 4):
    raw_png("gray%d" % depth, depth, 0, packed(noisy[:, :, 0] >> (8 - depth), depth))
    colors = bytes(range(7, 7 + 3 * (1 << depth) * 5, 5))[: 3 * (1 << depth)] if depth < 4 else bytes((i * 37) % 256 for i in range(48))
    raw_png("palette%d" % depth, depth, 3, packed(noisy[:, :, 1] >> (8 - depth), depth), colors)
raw_png("short_palette", 4, 3, packed(noisy[:, :, 1] >> 4, 4), bytes((i * 37) % 256 for i in range(24)))
raw_png("interlaced_rgb8", 8, 2, adam7(noisy.reshape(H, W, 3), 8), interlace=1)
raw_png("interlaced_gray2", 2, 0, adam7(noisy[:, :, 0] >> 6, 2), interlace=1)
raw_png("interlaced_gray16", 16, 0, [r for r in adam7(wide[:, :, 0] // 100, 16)], interlace=1)

lines = []
for name, data in sorted(files.items()):
    (HERE / name).write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (W, H), name
        lines.append("%s %s %s\n" % (name, image.convert("RGB").tobytes().hex(), image.convert("L").tobytes().hex()))
(HERE / "expected.txt").write_text("".join(lines))
print("Pillow", PIL.__version__, len(lines), "images", sum(map(len, files.values())), "bytes")
