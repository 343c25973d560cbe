"""Where the daemon is: from arguments, a URL, or the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from .errors import MagicQueueError

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 6789


@dataclass(frozen=True)
class Address:
    """A daemon's place. ``unix_socket``, where given, is used instead of host and port; ``queue``: the URL's."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    unix_socket: str | None = None
    token: str | None = None
    queue: str | None = None
    tls: bool | str = False
    """True, or a file with who vouches for the daemon, where the system does not; not for a Unix socket."""

    def __str__(self) -> str:
        """The address in words, without its token."""
        if self.unix_socket is not None:
            return self.unix_socket
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_url(text: str) -> Address:
    """The address that ``mq://token@host:port/queue`` or ``mq+unix:///path?queue=name&token=token`` means.

    Raises MagicQueueError for anything else.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise MagicQueueError(f"{_hide_token(text)} is no URL like mq://token@host:port/queue: {error}") from None
    path = unquote(url.path)
    if url.scheme in ("mq", "mqs"):
        token = unquote(url.username or "") or unquote(url.password or "") or None
        host = unquote(url.hostname or "") or DEFAULT_HOST
        return Address(host, _checked_port(port), None, token, path.lstrip("/") or None, url.scheme == "mqs")
    if url.scheme == "mq+unix":
        if not path:
            raise MagicQueueError("a mq+unix:// URL needs the path of a socket")
        query = parse_qs(url.query)
        token, queue = (query.get(name, [None])[0] for name in ("token", "queue"))
        return Address(unix_socket=path, token=token, queue=queue)
    raise MagicQueueError(
        f"the URL of a daemon begins with mq://, mqs:// or mq+unix://, not {_hide_token(text)[:40]!r}"
    )


def resolve_address(
    host: str | None,
    port: int | None,
    unix_socket: str | None,
    token: str | None,
    url: str | None,
    environment_url: str | None,
    tls: bool | str | None = None,
) -> Address:
    """What these arguments mean: what is given counts before the URL, that before the environment's, that before
    localhost:6789. The environment counts only if neither a URL nor a place is given.
    """
    for name, value in (("host", host), ("unix_socket", unix_socket), ("token", token), ("url", url)):
        if value is not None and not isinstance(value, str):
            raise MagicQueueError(f"{name} is a string, not {value!r}" if name != "token" else "token is a string")
    is_place_given = not (host is None and port is None and unix_socket is None)
    text = url or (None if is_place_given else environment_url or None)
    base = parse_url(text) if text else Address()
    is_tcp_given = host is not None or port is not None
    return Address(
        base.host if host is None else host,
        _checked_port(base.port if port is None else port),
        unix_socket or (None if is_tcp_given else base.unix_socket),
        token or base.token,
        base.queue,
        base.tls if tls is None else tls,
    )


def queue_of(address: Address) -> str:
    """The queue that the URL names. Raises MagicQueueError if it names none."""
    if address.queue is None:
        raise MagicQueueError("the URL names no queue: mq://token@host:port/queue")
    return address.queue


def _checked_port(port: int | None) -> int:
    if port is None:
        return DEFAULT_PORT
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise MagicQueueError(f"a port is a whole number from 1 to 65535, not {port!r}")
    return port


def _hide_token(text: str) -> str:
    text = re.sub(r"//[^@/]*@", "//***@", text)
    return re.sub(r"(token=)[^&]*", r"\1***", text)
