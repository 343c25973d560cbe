"""The dependencies loop: jobs that wait for others are told when those end.

Whoever ends a job tells the first few that wait for it; this loop does the thousands, and what had to be put off.
"""

from mqfast._engine import DEPENDENCIES, Engine

SWEEP = 10_000  # dependents in one go; the engine slices them


class Dependencies:
    """Releases what waits for jobs that have ended."""

    name = "dependencies"
    work = DEPENDENCIES

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self) -> None:
        self._engine.sweep(DEPENDENCIES, SWEEP)
