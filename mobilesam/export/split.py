"""The split of a data set into photos for training, validation and test."""

import hashlib
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter

from mobilesam.errors import PromptError
from mobilesam.schemas import Number, WholeNumber, listed, validate

SPLITS = ("train", "val", "test")
Shares = tuple[float, float, float]

_Share = Annotated[Number, Field(ge=0, le=100)]
_SHARES = TypeAdapter(Annotated[tuple[_Share, _Share, _Share], listed(*SPLITS)])
_SEED = TypeAdapter(Annotated[WholeNumber, Field(ge=0, lt=2**32)])


def checked_shares(value: object) -> Shares:
    """The shares of train, val and test, in any unit; PromptError if they are invalid."""
    shares = validate(_SHARES, value, name="split")
    if not sum(shares):
        raise PromptError("The split leaves no photos. Give at least one share above 0.")
    return shares


def checked_seed(value: object) -> int:
    """A seed; PromptError unless it is a whole number from 0 to 2^32 - 1."""
    return validate(_SEED, value, name="seed")


def split_photos(keys: Sequence[str], shares: Shares, seed: int) -> list[str]:
    """Which of SPLITS each photo belongs to, in the order of the photos.

    It depends on the seed and on the photos' keys, such as digests of their content, but not on
    their order. Photos with equal keys are in one split, so that none is both trained on and tested
    with. The shares hold up to rounding, but each one above 0 has a photo if there are enough.
    """
    digests = {key: hashlib.sha256(f"{seed}\0{key}".encode(errors="replace")) for key in keys}
    shuffled = sorted(digests, key=lambda key: (digests[key].digest(), key))
    counts = _counts(len(shuffled), shares)
    ordered = [split for split, count in zip(SPLITS, counts, strict=True) for _ in range(count)]
    split_of = dict(zip(shuffled, ordered, strict=True))
    return [split_of[key] for key in keys]


def _counts(total: int, shares: Shares) -> list[int]:
    """How many of all photos each split has, by the method of the largest remainder."""
    exact = [total * share / sum(shares) for share in shares]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(SPLITS)), key=lambda index: counts[index] - exact[index])
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    for index, share in enumerate(shares):
        most = counts.index(max(counts))
        if share and not counts[index] and counts[most] > 1:
            counts[index] += 1
            counts[most] -= 1
    return counts
