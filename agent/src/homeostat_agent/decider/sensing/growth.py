"""What counters grew by between two readings.

Invariant: a counter that went back (it wrapped, was reset, or its device was changed) gives nothing for that period,
never a number made up.
"""


class Growth:
    """The last value of each named row of counters."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, ...]] = {}

    def of(self, name: str, counters: tuple[int, ...]) -> tuple[int, ...] | None:
        """Keep `counters` as the newest and return how much each grew; None on the first time or if one went back."""
        last = self._last.get(name)
        self._last[name] = counters
        if last is None or len(last) != len(counters):
            return None
        grown = tuple(new - old for new, old in zip(counters, last, strict=True))
        return None if min(grown, default=0) < 0 else grown

    def keep_only(self, names: set[str]) -> None:
        """Forget every row whose name is not among `names`: what was taken out may come back as something else."""
        for name in self._last.keys() - names:
            del self._last[name]
