"""Files that a stranger may send as a photo: damaged, odd, and made to do harm.

All are drawn and put together here, with fixed seeds. `KINDS` are the ones that a test can afford;
`big_photos` are honest about being as large as the limits allow.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

PICTURE_HW = (32, 48)
ORIENTATION_TAG = 0x0112
FAR_TOO_LARGE = ((10_000, 10_000), (30_000, 30_000), (65_000, 65_000))
LIMIT_SIZE = (7_700, 5_190)
"""Width and height just below 40 megapixels."""


@dataclass(frozen=True, eq=False)
class BadFile:
    """A file and what may become of it; a sentence is always right unless it `must_open`.

    Attributes:
        name: what is bad about it.
        data: its bytes.
        pixels: what it shows, if it is opened at all; None where nobody can say.
        must_open: it is odd, but a photo.
        must_fail: it is none.
        tolerance: of a lossy format, in levels.
    """

    name: str
    data: bytes
    pixels: np.ndarray | None = None
    must_open: bool = False
    must_fail: bool = False
    tolerance: int = 0


def picture(height: int = PICTURE_HW[0], width: int = PICTURE_HW[1]) -> np.ndarray:
    """Smooth, so that lossy formats keep it, and different in every corner."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 255 // height, columns * 255 // width, (rows + columns) * 2]).astype(
        np.uint8
    )


def encoded(image: Image.Image | np.ndarray, file_format: str, **options: object) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def whole() -> dict[str, tuple[bytes, np.ndarray, int]]:
    """A sound file of every kind that is read: its bytes, its pixels, how far they may be off."""
    shown = picture()
    paletted = Image.fromarray(shown).quantize(64)
    colours = np.array(paletted.convert("RGB"))
    fine = {"quality": 95, "subsampling": 0}
    return {
        "jpeg": (encoded(shown, "JPEG", **fine), shown, 8),
        "progressive jpeg": (encoded(shown, "JPEG", progressive=True, **fine), shown, 8),
        "png": (encoded(shown, "PNG"), shown, 0),
        "gif": (encoded(paletted, "GIF"), colours, 0),
        "webp": (encoded(shown, "WEBP", lossless=True), shown, 0),
        "tiff": (encoded(shown, "TIFF"), shown, 0),
        "lzw tiff": (encoded(shown, "TIFF", compression="tiff_lzw"), shown, 0),
        "bmp": (encoded(shown, "BMP"), shown, 0),
    }


def truncated() -> Iterator[BadFile]:
    random = np.random.default_rng(1)
    for kind, (data, pixels, tolerance) in whole().items():
        for end in sorted(random.integers(0, len(data), 12).tolist()):
            yield BadFile(f"{kind} cut at {end}", data[:end], pixels, tolerance=max(tolerance, 40))


def garbled() -> Iterator[BadFile]:
    """A few bytes changed: nobody knows what it shows, but it shows it or is refused."""
    random = np.random.default_rng(2)
    for kind, (data, _, _) in whole().items():
        for count in (1, 1, 1, 1, 2, 4, 8, 16, 32, 64):
            bytes_ = bytearray(data)
            for at in random.integers(0, len(data), count):
                bytes_[at] = random.integers(256)
            yield BadFile(f"{kind} with {count} bytes changed", bytes(bytes_))


def wrong_starts() -> Iterator[BadFile]:
    files = whole()
    for kind, (data, _, _) in files.items():
        yield BadFile(f"{kind} without its start", data[8:], must_fail=True)
        yield BadFile(f"{kind} behind a space", b" " + data, must_fail=True)
        for other in ("png", "gif", "bmp"):
            if other != kind:
                start = files[other][0][:8]
                yield BadFile(f"{kind} that begins as {other}", start + data[8:], must_fail=True)


def odd(name: str, data: bytes, pixels: np.ndarray, tolerance: int = 0) -> BadFile:
    return BadFile(name, data, pixels, must_open=True, tolerance=tolerance)


def odd_photos() -> Iterator[BadFile]:
    """Photos of rare kinds, of depths, shapes and several frames."""
    shown = picture()
    grey = np.array(Image.fromarray(shown).convert("L"))
    grey3 = np.repeat(grey[..., None], 3, axis=2)
    alpha = np.dstack([shown, np.full(PICTURE_HW, 255, np.uint8)])

    wide, exact = grey.astype(np.uint16) * 257, {"lossless": True, "exact": True}
    for kind in ("PNG", "TIFF"):
        yield odd(f"16 bits {kind}", encoded(wide, kind), grey3)
        yield odd(f"grey and alpha {kind}", encoded(Image.fromarray(alpha).convert("LA"), kind),
                  grey3)  # fmt: skip
        black = (grey > 99).astype(np.uint8)[..., None].repeat(3, axis=2) * 255
        yield odd(f"one bit {kind}", encoded(Image.fromarray(grey > 99), kind), black)
    floats = (grey / 255).astype(np.float32)
    yield odd("float tiff", encoded(floats, "TIFF"), grey3, 1)
    for value in (np.nan, np.inf, -np.inf, 1e38, -1e38):
        every = np.full(PICTURE_HW, value, np.float32)
        some = floats.copy()
        some[3, 5] = value
        yield BadFile(f"tiff all of {value}", encoded(every, "TIFF"))
        yield BadFile(f"tiff with a {value}", encoded(some, "TIFF"))
    for kind in ("JPEG", "TIFF"):
        inks = Image.new("CMYK", PICTURE_HW[::-1], (0, 255, 255, 0))
        yield odd(f"CMYK {kind}", encoded(inks, kind), np.full_like(shown, (255, 0, 0)), 3)
    for kind, options in (("PNG", {}), ("WEBP", exact), ("TIFF", {})):
        yield odd(f"alpha {kind}", encoded(alpha, kind, **options), shown)
        clear = alpha * np.array([1, 1, 1, 0], np.uint8)
        yield odd(f"all transparent {kind}", encoded(clear, kind, **options),
                  np.full_like(shown, 255))  # fmt: skip


def odd_shapes() -> Iterator[BadFile]:
    """Photos of rare sizes, with several frames, and with odd things beside the pixels."""
    shown = picture()
    for width, height in ((1, 1), (1, 30_000), (30_000, 1), (2, 16_000)):
        thin = picture(height, width)
        for kind, tolerance in (("PNG", 0), ("BMP", 0), ("JPEG", 255), ("TIFF", 0)):
            yield odd(f"{width} x {height} {kind}", encoded(thin, kind), thin, tolerance)
    for orientation in (0, 9, 255, 65_535):
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = orientation
        yield odd(f"orientation {orientation}", encoded(shown, "PNG", exif=exif), shown)
    frames = [Image.fromarray(np.roll(shown, step, axis=0)) for step in range(6)]
    for kind, options in (
        ("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}),
        ("MPO", {"quality": 95, "subsampling": 0}),
    ):  # fmt: skip
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        yield odd(f"animated {kind}", data, shown, {"GIF": 60, "MPO": 8}.get(kind, 0))
    yield odd("many frames", encoded(frames[0], "GIF", save_all=True,
              append_images=frames * 6), shown, 60)  # fmt: skip
    for profile in (b"", b"no profile", b"\0" * 128, b"\xff" * 500_000):
        for kind, tolerance in (("PNG", 0), ("TIFF", 0), ("JPEG", 12), ("WEBP", 60)):
            data = encoded(shown, kind, icc_profile=profile)
            yield odd(f"profile of {len(profile)} bytes in {kind}", data, shown, tolerance)
    for kind, (data, pixels, tolerance) in whole().items():
        behind = b"PK\x05\x06" + b"\0" * 18 + b"<script>alert(1)</script>%PDF-1.4"
        yield odd(f"{kind} with a ZIP and a page behind", data + behind, pixels, tolerance)


def no_photos() -> Iterator[BadFile]:
    """Formats that are left alone, and what is no picture at all."""
    shown = Image.fromarray(picture())
    for kind in ("PPM", "TGA", "PCX", "SGI", "ICO", "ICNS", "EPS", "PDF", "DDS", "IM", "DIB",
                 "JPEG2000"):  # fmt: skip
        image = shown.resize((64, 64)) if kind in ("ICO", "ICNS") else shown
        yield BadFile(f"{kind} picture", encoded(image, kind), must_fail=True)
    jpeg = encoded(shown, "JPEG")
    others = {
        "nothing": b"",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "SVG that names a file": b'<svg><image href="file:///etc/passwd"/></svg>',
        "XML of many entities": b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><a>&b;</a>',
        "PSD": b"8BPS\0\1" + b"\0" * 6 + b"\0\3" + struct.pack(">IIHH", 32, 48, 8, 3) + b"\0" * 64,
        "PDF with a JPEG in it": b"%PDF-1.4\n1 0 obj<</Filter/DCTDecode>>stream\n" + jpeg,
        "EPS that runs a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id)",
        "WMF": b"\xd7\xcd\xc6\x9a" + b"\0" * 80,
        "EMF": b"\1\0\0\0" + b"\0" * 36 + b" EMF" + b"\0" * 60,
        "FITS": b"SIMPLE  =                    T".ljust(2880),
        "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64,
        "MP4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 64,
        "page": b"<!doctype html><script>alert(1)</script>",
        "ZIP": b"PK\3\4" + b"\0" * 60,
        "pickle": b"cos\nsystem\n(S'id'\ntR.",
        "program": b"\x7fELF\2\1\1" + b"\0" * 100,
        "script": b"#!/bin/sh\nid\n",
        "JSON": b'{"path": "/etc/passwd"}',
        "text": "Ünïcode\u202e".encode() * 50,
        "zeros": b"\0" * 100_000,
        "ones": b"\xff" * 100_000,
        "half a WebP": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        "one byte": b"\x89",
    }
    for name, data in others.items():
        yield BadFile(name, data, must_fail=True)
    random = np.random.default_rng(3)
    for length in (2, 4, 8, 16, 100, 1000, 10_000, 100_000):
        yield BadFile(f"{length} bytes of noise", random.bytes(length), must_fail=True)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, *chunks: bytes, data: bytes = b"", deep: int = 8) -> bytes:
    """A PNG whose header claims a size, with chunks before its data."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, deep, 2, 0, 0, 0))
    rest = png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + rest


def header_bomb() -> bytes:
    """A PNG whose header claims 100 megapixels, with no pixels behind it."""
    return png_of(10_000, 10_000)


def truncated_jpeg() -> bytes:
    """The first half of a JPEG."""
    data = encoded(picture(200, 300), "JPEG", quality=95)
    return data[: len(data) // 2]


def directory(entries: list[bytes], following: int = 0, order: str = "<") -> bytes:
    """An IFD: entries of twelve bytes, and where the next one is."""
    return struct.pack(f"{order}H", len(entries)) + b"".join(entries) + struct.pack(
        f"{order}I", following
    )  # fmt: skip


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def exif_that_repeats(tags: int, size: int) -> bytes:
    """EXIF whose every value is the same `size` bytes: a copy of each would be tags * size."""
    start = b"II*\0\x08\0\0\0" + directory([entry(1000 + i, 7, size, 8) for i in range(tags)])
    return start.ljust(size + 8, b"\0")


def tiff_of(width: int, height: int, *more: bytes, following: int = 0, **tags: int) -> bytes:
    """An RGB TIFF whose tags say so, over 48 bytes of pixels at 8."""
    values = {"bits": 8, "compression": 1, "colours": 2, "at": 8, "samples": 3, "rows": height,
              "length": 48} | tags  # fmt: skip
    entries = [
        entry(256, 4, 1, width), entry(257, 4, 1, height), entry(258, 3, 1, values["bits"]),
        entry(259, 3, 1, values["compression"]), entry(262, 3, 1, values["colours"]),
        entry(273, 4, 1, values["at"]), entry(277, 3, 1, values["samples"]),
        entry(278, 4, 1, values["rows"]), entry(279, 4, 1, values["length"]),
        *more,
    ]  # fmt: skip
    return b"II*\0" + struct.pack("<I", 56) + b"\x55" * 48 + directory(entries, following)


def jpeg_segments(marker: int, data: bytes, start: bytes = b"") -> bytes:
    """Data over as many segments of a marker as it takes."""
    parts = [data[at : at + 60_000] for at in range(0, len(data), 60_000)]
    return b"".join(
        struct.pack(">BBH", 255, marker, 2 + len(start + part)) + start + part for part in parts
    )
