"""Where the daemon is, out of a URL or the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mqfast.cli.errors import InputError
from mqfast.settings import CLIENT_SETTINGS, SETTINGS, trace

DEFAULT_PORT = 6789
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}  # a listener's "every address", for a client
_OF_THE_DAEMON = ("host", "port", "unix_socket", "auth_tokens")


@dataclass(frozen=True, slots=True)
class Address:
    """A Unix socket's path, or a host and port. ca: a PEM file, for TLS; None: what the system trusts."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str | None = None
    tls: bool = False
    ca: str | None = None
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def find_address(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Address:
    """The address by flags (keys of the settings, None where not given), environment and TOML file.

    A URL says all; else the daemon's own settings do: its Unix socket, or its first host and its port.
    Raises InputError for a URL that is none, SettingsError for bad settings.
    """
    table = [*CLIENT_SETTINGS, *(s for s in SETTINGS if s.key in _OF_THE_DAEMON)]
    given = {t.setting.key: t.value for t in trace(table, flags, environ)}
    token = given["token"] or (given["auth_tokens"][0] if given["auth_tokens"] else None)
    tls, ca = bool(given["tls"]), given["ca"]
    if given["url"]:
        return parse_url(given["url"], token=token, tls=tls, ca=ca)
    if given["unix_socket"]:
        return Address(path=given["unix_socket"], token=token)
    host = given["host"][0] if given["host"] else "localhost"
    return Address(_ANYWHERE.get(host, host), given["port"] or DEFAULT_PORT, tls=tls, ca=ca, token=token)


def parse_url(url: str, *, token: str | None = None, tls: bool = False, ca: str | None = None) -> Address:
    """The address that a URL names; a token in it goes before `token`. Raises InputError."""
    wrong = InputError("the URL must be mq://[TOKEN@]HOST[:PORT], mqs://[TOKEN@]HOST[:PORT] or unix://[TOKEN@]/PATH")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.password and not parts.username:
        token = unquote(parts.password)  # mq://:TOKEN@host, as some write it
    elif parts.username:
        token = unquote(parts.username)
    if parts.query or parts.fragment:
        raise wrong
    if parts.scheme == "unix":
        if parts.hostname or port is not None or not parts.path.startswith("/"):
            raise wrong
        return Address(path=unquote(parts.path), token=token)
    if parts.scheme not in ("mq", "mqs") or not parts.hostname or parts.path not in ("", "/") or port == 0:
        raise wrong
    return Address(parts.hostname, port or DEFAULT_PORT, tls=tls or parts.scheme == "mqs", ca=ca, token=token)
