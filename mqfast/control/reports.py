"""The reports loop: what the reactors refused goes to the log, at once and then a line a second at most."""

import logging

from mqfast._engine import REPORT, Reactors
from mqfast.settings import Settings

_log = logging.getLogger("mqfast")


class Reports:
    """Tells the operator what strangers were refused, and which setting says so. Never a token."""

    name = "reports"
    work = REPORT

    def __init__(self, reactors: Reactors, settings: Settings) -> None:
        self._reactors = reactors
        limit, of_one = settings.max_connections, settings.max_connections_per_address
        self._words = {
            "connections": f"connections refused: there are {limit} (MAX_CONNECTIONS)",
            "address": f"connections refused: there are {of_one} of their address (MAX_CONNECTIONS_PER_ADDRESS)",
            "descriptors": "times no connection could be accepted: no descriptors or no memory are left (raise the "
            "limit of open files, or set MAX_CONNECTIONS below it)",
            "token": "wrong tokens",
            "token_late": f"connections closed: no token came within {settings.auth_timeout_ms} ms (AUTH_TIMEOUT)",
            "line_late": f"connections closed: a line was not finished within {settings.line_timeout_ms} ms "
            "(LINE_TIMEOUT)",
        }

    def run(self) -> None:
        parts = []
        for trouble, (count, peer) in self._reactors.take_report().items():
            parts.append(f"{count} {self._words[trouble]}" + (f", the last from {peer}" if peer else ""))
        if parts:
            _log.warning("%s", "; ".join(parts))
