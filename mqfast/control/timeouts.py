"""The timeouts loop: what ends by itself, as timeouts, leases, times to live, retention of completed jobs."""

from mqfast._engine import TIMEOUTS, Engine

SWEEP = 100_000  # pieces of work in one go; the engine slices them


class Timeouts:
    """Ends what is due; the engine knows what that is and does it."""

    name = "timeouts"
    work = TIMEOUTS

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self) -> None:
        self._engine.sweep(TIMEOUTS, SWEEP)
