"""What a command ends in when it does not succeed, with the exit status of each.

The statuses are a promise to scripts; docs/cli.md and `mqfast --help` tell them from STATUSES.
"""

from mqfast.errors import MqfastError

REFUSED = 1
USAGE = 2
UNREACHABLE = 3
NOT_FOUND = 4
INTERRUPTED = 130
PIPE_CLOSED = 141

STATUSES = {
    0: "done",
    REFUSED: "refused by the daemon, in whole or in part; of check: damaged; of serve: it cannot run",
    USAGE: "wrong usage, a bad setting, a bad file or folder",
    UNREACHABLE: "no daemon answers, or the connection was lost",
    NOT_FOUND: "there is no such job, cron or queue; of pull: no job came",
    INTERRUPTED: "interrupted with Ctrl-C",
    PIPE_CLOSED: "whoever read the output went away",
}

_ADVICE = {
    "auth_required": "give one in MQ_TOKEN, or in the URL: mq://TOKEN@HOST:PORT",
    "auth_failed": "see MQ_TOKEN, the URL, or AUTH_TOKENS",
    "queue_full": "try again when workers have taken some",
    "out_of_memory": "the daemon is at its MAX_MEMORY; try again when workers have taken some",
    "storage_full": "the disk of the daemon's log is full; free some of it and try again",
    "lease_lost": "its result must not be used",
    "unknown_command": "the daemon is older than this command line; update it",
}


class InputError(MqfastError):
    """What the user gave (an argument, a file) cannot be used."""

    exit_status = USAGE


class UnreachableError(MqfastError):
    """Nobody answers, or the connection was lost before the answer came."""

    exit_status = UNREACHABLE


class MismatchError(MqfastError):
    """What answers is no daemon, or one that is set up differently. Trying again does not mend it."""

    exit_status = UNREACHABLE


class NothingThereError(MqfastError):
    """What was asked for does not exist."""

    exit_status = NOT_FOUND


class RefusedError(MqfastError):
    """The daemon refused a command. code: of the table of refusals in docs/protocol.md."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code
        self.exit_status = NOT_FOUND if code == "not_found" else REFUSED

    @property
    def lines(self) -> tuple[str, ...]:
        advice = _ADVICE.get(self.code)
        return (f"{self}: {advice}" if advice else str(self),)


class ReaderGoneError(MqfastError):
    """Whoever read the output has gone. There is nobody to tell."""

    exit_status = PIPE_CLOSED

    @property
    def lines(self) -> tuple[str, ...]:
        return ()
