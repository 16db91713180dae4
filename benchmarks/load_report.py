"""What became of the requests of a load, and the figures of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ANSWERED, EXPIRED, REFUSED, FAILED, WRONG = "answered", "expired", "refused", "failed", "wrong"
OUTCOMES = (ANSWERED, EXPIRED, REFUSED, FAILED, WRONG)


@dataclass(frozen=True)
class Sample:
    """One thing that a user asked for.

    Attributes:
        what: `"page"`, `"open"`, `"click"` or `"export"`.
        seconds: until there was an outcome.
        outcome: answered rightly; or the photo was forgotten, which the page mends by itself;
            or refused with a sentence; or no answer; or somebody else's.
        sentence: of what was not answered.
        beside_encode: whether somebody was waiting for a photo when it was asked.
    """

    what: str
    seconds: float
    outcome: str = ANSWERED
    sentence: str = ""
    beside_encode: bool = False


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by at least this share of them; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def load_row(users: int, samples: Sequence[Sample], seconds: float) -> dict[str, Any]:
    """The figures of so many users at once, who were there for `seconds` together."""
    clicks = _answered(samples, "click")
    beside = _answered([sample for sample in samples if sample.beside_encode], "click")
    quiet = _answered([sample for sample in samples if not sample.beside_encode], "click")
    opens = _answered(samples, "open")
    middle, last = percentile(clicks, 0.5), percentile(clicks, 0.99)
    outcomes = Counter(sample.outcome for sample in samples)
    return {
        "users": users,
        "seconds": seconds,
        "photos_per_s": len(opens) / seconds,
        "clicks": len(clicks),
        "clicks_per_s": len(clicks) / seconds,
        "click_p50_ms": 1000 * middle,
        "click_p95_ms": 1000 * percentile(clicks, 0.95),
        "click_p99_ms": 1000 * last,
        "click_p99_over_p50": last / middle if middle else 0.0,
        "click_beside_encode_p50_ms": 1000 * percentile(beside, 0.5),
        "click_without_encode_p50_ms": 1000 * percentile(quiet, 0.5),
        "open_p50_s": percentile(opens, 0.5),
        "open_p95_s": percentile(opens, 0.95),
        "open_p99_s": percentile(opens, 0.99),
        "page_p99_s": percentile(_answered(samples, "page"), 0.99),
        "export_p99_ms": 1000 * percentile(_answered(samples, "export"), 0.99),
        **{outcome: outcomes[outcome] for outcome in OUTCOMES},
        "sentences": dict(Counter(sample.sentence for sample in samples if sample.sentence)),
    }


def load_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each number of users, and below it what was said to those refused."""
    columns = {
        "users": ("users", "d"),
        "clicks_per_s": ("clicks/s", ".1f"),
        "click_p50_ms": ("click p50 ms", ".0f"),
        "click_p95_ms": ("p95", ".0f"),
        "click_p99_ms": ("p99", ".0f"),
        "click_p99_over_p50": ("p99/p50", ".1f"),
        "open_p50_s": ("photo p50 s", ".1f"),
        "open_p95_s": ("p95", ".1f"),
        "open_p99_s": ("p99", ".1f"),
        **{outcome: (outcome, "d") for outcome in OUTCOMES},
    }
    lines = ["  ".join(title for title, _ in columns.values())]
    for row in rows:
        cells = (
            f"{row[name]:{style}}".rjust(len(title)) for name, (title, style) in columns.items()
        )
        lines.append("  ".join(cells))
        lines += [f"  {count} x {sentence}" for sentence, count in row["sentences"].items()]
    return "\n".join(lines)


def _answered(samples: Sequence[Sample], what: str) -> list[float]:
    return [
        sample.seconds for sample in samples if (sample.what, sample.outcome) == (what, ANSWERED)
    ]
