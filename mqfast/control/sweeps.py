"""The loops for what the engine does by itself once a thread comes: it knows what is due, and does it in slices."""

from mqfast._engine import DEPENDENCIES, MEMORY, TIMEOUTS, Engine


class Sweep:
    """Does what is due of one kind of work. limit: pieces of work in one go."""

    def __init__(self, engine: Engine, name: str, work: int, limit: int) -> None:
        self.name = name
        self.work = work
        self._engine = engine
        self._limit = limit

    def run(self) -> None:
        self._engine.sweep(self.work, self._limit)


def sweeps(engine: Engine) -> list[Sweep]:
    """All of them: what ends by itself; jobs that wait for others (whoever ends a job tells the first few, this the
    thousands, and what had to be put off); memory for queues that fill fast."""
    return [
        Sweep(engine, "timeouts", TIMEOUTS, 100_000),
        Sweep(engine, "dependencies", DEPENDENCIES, 10_000),
        Sweep(engine, "memory", MEMORY, 100),
    ]
