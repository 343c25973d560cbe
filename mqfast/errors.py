"""What can keep the daemon from starting or running, with the exit status each ends in."""

from collections.abc import Iterable


class MqfastError(Exception):
    """A failure to be told to the operator in plain lines, without a traceback."""

    exit_status = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """One complete message for each thing that is wrong."""
        return (str(self),)


class SettingsError(MqfastError):
    """One or more settings are wrong; each has a line of its own."""

    exit_status = 2

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = tuple(lines)
        super().__init__("; ".join(self._lines))

    @property
    def lines(self) -> tuple[str, ...]:
        return self._lines


class ServerError(MqfastError):
    """The daemon cannot listen, or a part of it has died."""
