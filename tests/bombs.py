"""Small files that would take a decoder minutes or gigabytes, and the largest honest photos."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image

from tests.bad_files import (
    FAR_TOO_LARGE,
    LIMIT_SIZE,
    BadFile,
    directory,
    encoded,
    entry,
    exif_that_repeats,
    garbled,
    jpeg_segments,
    no_photos,
    odd_photos,
    odd_shapes,
    picture,
    png_chunk,
    png_of,
    tiff_of,
    truncated,
    wrong_starts,
)


def size_bombs() -> Iterator[BadFile]:
    """Headers that claim more pixels than there are, or than can be."""
    jpeg, gif = encoded(picture(), "JPEG"), encoded(Image.new("P", (8, 8)), "GIF")
    webp, bmp = encoded(picture(), "WEBP", lossless=True), encoded(picture(), "BMP")
    frame = jpeg.index(b"\xff\xc0") + 5
    for width, height in (*FAR_TOO_LARGE, (2**31 - 1, 2**31 - 1), (0, 0), (0, 9), (9, 0)):
        size = f"{width} x {height}"
        zeros = zlib.compress(bytes(100_000))
        yield BadFile(f"PNG of {size}", png_of(width, height, data=zeros), must_fail=True)
        yield BadFile(f"TIFF of {size}", tiff_of(width, height), must_fail=True)
        claimed = bmp[:18] + struct.pack("<ii", width, height) + bmp[26:]
        yield BadFile(f"BMP of {size}", claimed, must_fail=True)
        if width > 65_535:
            continue
        claimed = jpeg[:frame] + struct.pack(">HH", height, width) + jpeg[frame + 4 :]
        yield BadFile(f"JPEG of {size}", claimed, must_fail=True)
        claimed = gif[:6] + struct.pack("<HH", width, height) + gif[10:]
        yield BadFile(f"GIF of {size}", claimed, must_fail=width > 0 < height)
    bits = 0x3FFF | 0x3FFF << 14
    claimed = webp[:21] + struct.pack("<I", bits) + webp[25:]
    yield BadFile("WebP of 16384 x 16384", claimed, must_fail=True)
    for width, height in ((-48, 32), (48, -(2**31)), (-1, -1), (2**31 - 1, -1)):
        claimed = bmp[:18] + struct.pack("<ii", width, height) + bmp[26:]
        yield BadFile(f"BMP of {width} x {height}", claimed, must_fail=True)
    upside_down = bmp[:18] + struct.pack("<ii", 48, -32) + bmp[26:]
    yield BadFile("BMP from the top", upside_down, picture()[::-1], must_open=True)
    for name, deep in (("no", 0), ("three", 3), ("255", 255)):
        yield BadFile(f"PNG of {name} bits", png_of(8, 8, deep=deep), must_fail=True)


def chunk_bombs() -> Iterator[BadFile]:
    """Files of far too many pieces, or of a piece that grows."""
    png, jpeg, gif = (
        encoded(picture(), "PNG"),
        encoded(picture(), "JPEG"),
        encoded(Image.new("P", (8, 8)), "GIF"),
    )
    grows = zlib.compress(bytes(30_000_000), 9)
    for kind, start in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        chunk = png_chunk(kind, start + grows)
        yield BadFile(f"{kind.decode()} that grows", png[:33] + chunk + png[33:])
    text = png_chunk(b"tEXt", b"a\0" + b"b" * 900_000)
    yield BadFile("much text", png[:33] + 20 * text + png[33:])
    yield BadFile("empty chunks", png[:33] + png_chunk(b"prVt", b"") * 300_000 + png[33:],
                  must_fail=True)  # fmt: skip
    row = zlib.compress(bytes(32 * (1 + 3 * 48)), 0)
    parts = b"".join(png_chunk(b"IDAT", row[at : at + 1]) for at in range(len(row)))
    yield BadFile("pixels byte by byte", png[:33] + parts + png_chunk(b"IEND", b""),
                  np.zeros_like(picture()), must_open=True)  # fmt: skip
    empty = png_chunk(b"IDAT", b"") * 300_000
    yield BadFile("empty pixels", png[:33] + empty + png[33:], must_fail=True)
    for frames in (0, 2, 2**31):
        control = png_chunk(b"acTL", struct.pack(">II", frames, 0))
        yield BadFile(f"APNG of {frames} frames", png[:33] + control + png[33:])
    for marker in (0xE1, 0xFE):
        piece = struct.pack(">BBH", 255, marker, 2)
        yield BadFile(f"empty segments {marker:x}", jpeg[:2] + piece * 300_000 + jpeg[2:],
                      must_fail=True)  # fmt: skip
    yield BadFile("much padding", jpeg[:2] + b"\xff" * 1_000_000 + jpeg[2:], must_fail=True)
    last = encoded(picture(), "JPEG", progressive=True)
    scan = last.rindex(b"\xff\xda")
    yield BadFile("thousands of scans", last[:scan] + last[scan:-2] * 20_000, must_fail=True)
    image = gif.index(b",\0\0\0\0")
    for size, total, where in ((1, 2_000_000, len(gif) - 1), (255, 15_000_000, image)):
        blocks = (bytes([size]) + b"a" * size) * (total // (size + 1)) + b"\0"
        long = gif[:where] + b"!\xfe" + blocks + gif[where:]
        yield BadFile(f"GIF with a comment in blocks of {size}", long, must_fail=True)
    yield BadFile("GIF of many comments", gif[:image] + b"!\xfe\1a\0" * 300_000 + gif[image:],
                  must_fail=True)  # fmt: skip


def directory_bombs() -> Iterator[BadFile]:
    """TIFF's directories, which EXIF and MPO have too: circles, and names for the same bytes."""
    plain = picture()
    for tags, size in ((50, 10), (1000, 1_000_000), (10_000, 100_000)):
        exif = exif_that_repeats(tags, size)
        name = f"{tags} tags of {size} bytes"
        yield BadFile(f"PNG with EXIF of {name}", encoded(plain, "PNG", exif=exif), plain,
                      must_open=True)  # fmt: skip
        yield BadFile(f"WebP with EXIF of {name}",
                      encoded(plain, "WEBP", lossless=True, exif=exif), plain)  # fmt: skip
        jpeg = encoded(plain, "JPEG", quality=95, subsampling=0)
        for marker, start in ((0xE1, b"Exif\0\0"), (0xE2, b"MPF\0")):
            segments = jpeg_segments(marker, exif, start)
            # Without its JFIF segment Pillow looks for the resolution in the EXIF.
            yield BadFile(f"JPEG with {start[:4]!r} of {name}", jpeg[:2] + segments + jpeg[20:],
                          plain, tolerance=8)  # fmt: skip
        more = [entry(40_000 + i % 20_000, 7, size, 8) for i in range(min(tags, 20_000))]
        yield BadFile(f"TIFF of {name}", tiff_of(4, 4, *more) + bytes(size),
                      must_fail=tags > 50)  # fmt: skip
    for following in (56, 8, 2**31, 2**32 - 1):
        yield BadFile(f"TIFF that goes on at {following}", tiff_of(4, 4, following=following))
    chain = b"".join(
        directory([entry(256, 4, 1, 4)], following=at + 18) for at in range(174, 1_800_000, 18)
    )
    yield BadFile("TIFF of 100,000 pages", tiff_of(4, 4, following=170) + bytes(4) + chain)
    for tag in (34665, 34853, 40965, 330):
        loop = b"II*\0\x08\0\0\0" + directory([entry(tag, 4, 1, 8)], following=8)
        yield BadFile(f"EXIF that is its own {tag}", encoded(plain, "PNG", exif=loop), plain,
                      must_open=True)  # fmt: skip
        yield BadFile(f"TIFF that is its own {tag}", tiff_of(4, 4, entry(tag, 4, 1, 56)))
    for exif in (
        b"",
        b"II",
        b"II*\0",
        b"MM\0*\xff\xff\xff\xff",
        b"junk" * 9,
        b"II*\0\x08\0\0\0\xff\xff",
    ):
        yield BadFile(f"EXIF {exif[:12]!r}", encoded(plain, "PNG", exif=exif), plain,
                      must_open=True)  # fmt: skip
    for tags in (
        {"bits": 0}, {"bits": 64}, {"bits": 65_535}, {"samples": 0}, {"samples": 65_535},
        {"compression": 5}, {"compression": 6}, {"compression": 7}, {"compression": 8},
        {"compression": 34_712}, {"compression": 50_001}, {"compression": 65_535},
        {"at": 2**32 - 1}, {"at": 0}, {"rows": 0}, {"length": 2**32 - 1}, {"length": 0},
        {"colours": 3}, {"colours": 6}, {"colours": 32_844}, {"colours": 65_535},
    ):  # fmt: skip
        yield BadFile(f"TIFF with {tags}", tiff_of(4, 4, **tags))


def big_photos(shrink: int = 1) -> Iterator[BadFile]:
    """As many pixels as the limits allow, or just more, in few bytes; all sides over `shrink`."""
    width, height = (side // shrink for side in LIMIT_SIZE)
    plain = Image.new("RGB", (width, height), (40, 80, 160))
    for mode, kinds in {
        "RGB": ("PNG", "JPEG", "TIFF"),
        "RGBA": ("PNG",),
        "P": ("PNG", "GIF"),
        "CMYK": ("JPEG",),
        "I;16": ("PNG",),
        "1": ("PNG", "TIFF", "BMP"),
        "F": ("TIFF",),
    }.items():
        image = Image.new(mode, plain.size) if mode in ("I;16", "F") else plain.convert(mode)
        for kind in kinds:
            options = {"compression": "tiff_lzw"} if kind == "TIFF" and mode != "1" else {}
            data = encoded(image, kind, **options)
            yield BadFile(f"40 megapixels of {mode} {kind}", data, must_open=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    yield BadFile("40 megapixels turned", encoded(plain, "JPEG", exif=turned), must_open=True)
    halved = encoded(plain, "JPEG", progressive=True, subsampling="4:2:0")
    yield BadFile("40 megapixels progressive, colours halved", halved, must_open=True)
    noise = Image.effect_noise((width // 4, height // 4), 60).resize((width, height), 0)
    data = encoded(noise, "JPEG", progressive=True, quality=90)
    yield BadFile("40 megapixels of noise", data)
    for megapixels, opens in ((40, False), (29.9, True)):
        scaled = _of(plain, megapixels / shrink**2)
        data = encoded(scaled, "JPEG", progressive=True, subsampling="4:4:4")
        yield BadFile(f"{megapixels} megapixels progressive", data, None, opens, not opens)
    for mode in ("RGB", "RGBA"):
        for megapixels, opens in ((40, False), (18.7, True)):
            data = encoded(_of(plain.convert(mode), megapixels / shrink**2), "WEBP")
            yield BadFile(f"{megapixels} megapixels of {mode} WebP", data, None, opens, not opens)


def _of(image: Image.Image, megapixels: float) -> Image.Image:
    share = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    return image.resize((int(image.width * min(share, 1)), int(image.height * min(share, 1))))


KINDS: Mapping[str, Callable[[], Iterator[BadFile]]] = {
    "truncated": truncated,
    "garbled": garbled,
    "wrong starts": wrong_starts,
    "odd photos": odd_photos,
    "odd shapes": odd_shapes,
    "no photos": no_photos,
    "sizes": size_bombs,
    "chunks": chunk_bombs,
    "directories": directory_bombs,
}
