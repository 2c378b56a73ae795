"""Durations in buckets whose limits grow by a fixed factor, so that any percentile is right to two in a hundred.

Buckets of several periods add up to those of their sum, which percentiles themselves do not.

>>> found = Histogram()
>>> for milliseconds in (10, 20, 30, 40, 1000):
...     found.add(milliseconds)
>>> round(found.percentile(50) or 0)
30
"""

import math
from collections.abc import Mapping

__all__ = ["RELATIVE_ERROR", "SMALLEST_MILLISECONDS", "Histogram", "bucket_of", "middle_of"]

RELATIVE_ERROR = 0.02
"""How far a percentile may be from the exact one, as a share of it."""
SMALLEST_MILLISECONDS = 1.0
"""What is shorter counts as this long."""
_FACTOR = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_FACTOR = math.log(_FACTOR)


def bucket_of(milliseconds: float) -> int:
    """Return the number of the bucket of a duration: bucket n holds what is longer than f^(n-1), up to f^n."""
    if milliseconds <= SMALLEST_MILLISECONDS:
        return 0
    return math.ceil(math.log(milliseconds) / _LOG_FACTOR)


def middle_of(bucket: int) -> float:
    """Return the duration that is nearest, in proportion, to all that a bucket holds."""
    return SMALLEST_MILLISECONDS if bucket == 0 else 2 * _FACTOR**bucket / (_FACTOR + 1)


class Histogram:
    """How many durations fell into each bucket."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        """`counts`: as `as_json` gave them."""
        self._counts = {int(bucket): number for bucket, number in (counts or {}).items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Histogram({self._counts})"

    def add(self, milliseconds: float, number: int = 1) -> None:
        """Count so many durations of this length."""
        bucket = bucket_of(milliseconds)
        self._counts[bucket] = self._counts.get(bucket, 0) + number

    def merge(self, other: "Histogram") -> None:
        """Count everything that the other one has counted."""
        counts = self._counts
        for bucket, number in other._counts.items():  # noqa: SLF001 - one of its own kind
            counts[bucket] = counts.get(bucket, 0) + number

    @property
    def total(self) -> int:
        """How many durations are counted."""
        return sum(self._counts.values())

    def percentile(self, percent: float) -> float | None:
        """Return the duration in milliseconds that this share of all does not exceed; `None` without any."""
        wanted = math.ceil(percent / 100 * self.total)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= max(1, wanted):
                return middle_of(bucket)
        return None

    def as_json(self) -> dict[str, int]:
        """Return it as JSON keeps it."""
        return {str(bucket): number for bucket, number in sorted(self._counts.items())}
