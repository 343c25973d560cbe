"""A histogram of durations with a bounded error: each value is at most 1/32 higher than what it was."""

from collections import Counter

_BITS = 5  # 32 buckets for each power of two


class Histogram:
    """Durations in nanoseconds, counted by size."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.highest = 0
        self._sum = 0

    def add(self, ns: int, times: int = 1) -> None:
        self._buckets[_bucket(ns)] += times
        self.count += times
        self._sum += ns * times
        self.highest = max(self.highest, ns)

    @property
    def mean(self) -> float:
        return self._sum / self.count if self.count else 0.0

    def percentile(self, percent: float) -> int:
        """The duration that so many percent do not exceed; 0 if there are none."""
        wanted = self.count * percent / 100
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_upper(bucket), self.highest)
        return self.highest

    def spread(self, steps: int) -> list[tuple[int, int]]:
        """From the lowest to the highest in at most `steps` steps that grow alike: (upper end, how many)."""
        if not self._buckets:
            return []
        first, last = min(self._buckets), max(self._buckets)
        width = max(1, -(-(last - first + 1) // steps))
        rows = []
        for start in range(first, last + 1, width):
            inside = sum(self._buckets[bucket] for bucket in range(start, min(start + width, last + 1)))
            rows.append((min(_upper(start + width - 1), self.highest), inside))
        return rows


def _bucket(ns: int) -> int:
    """Buckets are one value wide below 2^(bits+1), then as wide as the power of two asks for."""
    shift = max(0, ns.bit_length() - _BITS - 1)
    return (shift << _BITS) + (ns >> shift)


def _upper(bucket: int) -> int:
    """The highest value of a bucket."""
    shift = max(0, (bucket >> _BITS) - 1)
    return (((bucket - (shift << _BITS)) + 1) << shift) - 1
