"""Masks of every awkward kind, drawn without the code that is tested."""

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask


def decoded(rle: dict) -> np.ndarray:
    """The (H, W) bool mask of an RLE, by pycocotools."""
    return coco_mask.decode(rle).astype(bool)


def fifty_masks() -> dict[str, np.ndarray]:
    """(H, W) bool masks by name: ten kinds, five seeds each."""
    return {
        f"{draw.__name__} {seed}": draw(np.random.default_rng(seed), *size_hw)
        for draw in KINDS
        for seed, size_hw in enumerate([(120, 160), (97, 203), (240, 131), (64, 64), (181, 180)])
    }


SPECKS = ("single_pixels", "thin_lines", "checkerboard")
"""Kinds in which a line one pixel wide weighs as much as the object."""


def _discs(height: int, width: int, *circles: tuple[float, float, float]) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.any([np.hypot(rows - y, columns - x) < r for x, y, r in circles], axis=0)


def disc(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    x, y = random.uniform(0.4, 0.6, 2) * (width, height)
    return _discs(height, width, (x, y, 0.3 * min(height, width)))


def ring(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    x, y = random.uniform(0.45, 0.55, 2) * (width, height)
    radius = 0.4 * min(height, width)
    return _discs(height, width, (x, y, radius)) & ~_discs(height, width, (x, y, radius / 2))


def sieve(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Many holes, some a single pixel, some a pixel apart from each other or the border."""
    mask = np.ones((height, width), bool)
    for _ in range(30):
        x, y, side = random.integers(1, (width - 9, height - 9, 8))
        mask[y : y + side, x : x + side] = False
    mask[-2, -2] = mask[1, 1] = False
    return mask


def parts(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Three discs, rather close together."""
    radius = min(height, width) / 7
    xs = width / 2 + 2.5 * radius * np.array([-1, 0, 1])
    ys = height / 2 + random.uniform(-radius, radius, 3)
    return _discs(height, width, *((x, y, radius) for x, y in zip(xs, ys, strict=True)))


def island(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A ring around a disc with a hole of its own."""
    hole = random.uniform(2, 4)
    radius = 0.45 * min(height, width)
    circles = [(width / 2, height / 2, radius * share) for share in (1, 0.7, 0.5)]
    outer, gap, inner = (_discs(height, width, circle) for circle in circles)
    return (outer & ~gap) | (inner & ~_discs(height, width, (width / 2, height / 2, hole)))


def cloud(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One ragged region with bays and capes that reaches over the border."""
    rows, columns = np.mgrid[:height, :width] - np.array([height / 2, width / 3])[:, None, None]
    angle = np.arctan2(rows, columns)
    waves = zip((3, 5, 8, 13, 21), random.uniform(0, 6, 5), strict=True)
    ragged = 1 + sum(0.15 * np.cos(n * angle + phase) for n, phase in waves)
    return np.hypot(rows, columns) < 0.35 * min(height, width) * ragged


def at_the_border(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A frame along all four sides with a leaf-shaped opening."""
    x, y = random.uniform(0.4, 0.6, 2) * (width, height)
    shift = min(height, width) / 5
    opening = _discs(height, width, (x - shift, y, 2 * shift))
    return ~(opening & _discs(height, width, (x + shift, y, 2 * shift)))


def single_pixels(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A corner and no, one or two pixels more."""
    mask = np.zeros((height, width), bool)
    mask[-1, -1] = True
    for _ in range(width % 3):
        mask[random.integers(height), random.integers(width)] = True
    return mask


def thin_lines(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Lines one pixel wide, crossing."""
    image = Image.new("1", (width, height))
    for _ in range(4):
        ends = random.uniform(0, 1, (2, 2)) * (width - 1, height - 1)
        ImageDraw.Draw(image).line([tuple(end) for end in ends.tolist()], fill=1)
    return np.array(image)


def checkerboard(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Pixels that touch at their corners alone."""
    rows, columns = np.mgrid[:height, :width]
    x, y = random.integers(0, 20, 2)
    board = (rows + columns) % 2 == 0
    board[:y], board[y + 20 :], board[:, :x], board[:, x + 30 :] = False, False, False, False
    return board


KINDS = (disc, ring, sieve, parts, island, cloud, at_the_border, single_pixels, thin_lines,
         checkerboard)  # fmt: skip
