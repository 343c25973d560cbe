"""The settings: one table, read from flags, environment and a TOML file, and rendered from here.

A row of the table is a field of Settings, which the daemon has, or of ClientSettings, which the other commands have.
Its flag, environment variable and TOML key follow from its name; --help and the README's table are printed from it. A
value comes from the first of flag, environment variable, TOML file and default that has one. Nothing here reads the
process's environment: load() takes it as an argument.

``python -m mqfast.settings`` prints the README's table; with a file as argument it renews the table in that file.
"""

import difflib
import os
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from mqfast.errors import SettingsError
from mqfast.kinds import (
    DEFAULT_UNIX_SOCKET,
    FILE,
    FOLDER,
    HOSTS,
    MODE,
    NAMES,
    ORIGINS,
    PORT,
    SWITCH,
    TOKENS,
    UNIX_SOCKET,
    Kind,
    choice,
    number,
    size,
    text_of,
)

MAX_DEFAULT_REACTORS = 4
HTTP_RESERVE = 4  # threads of HTTP that nothing which waits may take
TABLE_BEGIN = "<!-- settings:begin -->"
TABLE_END = "<!-- settings:end -->"


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table."""

    field: str  # the attribute of Settings
    flag: str
    env: str
    key: str  # in the TOML file
    kind: Kind
    default: str  # as shown
    doc: str
    secret: bool = False  # its value is never printed


def _default_reactors() -> int:
    return min(MAX_DEFAULT_REACTORS, len(os.sched_getaffinity(0)))


class _Row(NamedTuple):
    env: str
    kind: Kind
    doc: str
    shown_default: str | None
    secret: bool


def _row(
    env: str,
    kind: Kind,
    default: object,
    doc: str,
    *,
    shown_default: str | None = None,
    secret: bool = False,
) -> Any:
    """A field of Settings; a callable default is called for each Settings made."""
    metadata = {"row": _Row(env, kind, doc, shown_default, secret)}
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its value. Sizes are bytes, times milliseconds; None or an empty tuple is off."""

    hosts: tuple[str, ...] = _row(
        "HOST",
        HOSTS,
        ("localhost",),
        "Where to listen: names or addresses, with commas between. localhost is 127.0.0.1 and, where the machine has "
        "IPv6, ::1",
    )
    port: int = _row("PORT", PORT, 6789, "TCP port; 0 takes any free one, the same for every address")
    unix_socket: str | None = _row(
        "UNIX_SOCKET", UNIX_SOCKET, None, f"Unix socket to listen on as well: 1 for {DEFAULT_UNIX_SOCKET}, or a path"
    )
    unix_socket_mode: int = _row("UNIX_SOCKET_MODE", MODE, 0o660, "File mode of the Unix socket: who may connect")
    auth_tokens: tuple[str, ...] = _row(
        "AUTH_TOKENS",
        TOKENS,
        (),
        "Tokens, one of which a client must give, with commas between (in the TOML file also a list). Anyone on the "
        "machine can read a flag: better the environment or the file",
        shown_default="none",
        secret=True,
    )
    tokens_file: str | None = _row(
        "TOKENS_FILE",
        FILE,
        None,
        "TOML file with tokens that have roles and perhaps only some queues; read again on SIGHUP",
    )
    tls_cert: str | None = _row(
        "TLS_CERT",
        FILE,
        None,
        "PEM file with the certificate and its chain: TCP and HTTP then speak TLS only, the Unix socket does not; read "
        "again on SIGHUP",
    )
    tls_key: str | None = _row("TLS_KEY", FILE, None, "PEM file with its key; for TLS_CERT")
    reactors: int = _row(
        "REACTORS",
        number(1, 64),
        _default_reactors,
        "Threads that serve connections",
        shown_default=f"cores, at most {MAX_DEFAULT_REACTORS}",
    )
    max_line: int = _row("MAX_LINE", size(1 << 10, 1 << 30), 16 << 20, "Longest request line; longer ones are refused")
    max_job_bytes: int = _row(
        "MAX_JOB_BYTES", size(1, 1 << 30), 1 << 20, "Longest data of a job, and longest result, as JSON text"
    )
    max_output: int = _row(
        "MAX_OUTPUT",
        size(1 << 10, 1 << 30),
        8 << 20,
        "Unsent answers of a connection past which its commands are not read",
    )
    max_memory: int = _row(
        "MAX_MEMORY", size(0, 1 << 50), 0, "Memory for jobs past which pushes are refused; 0 is no limit"
    )
    max_connections: int = _row(
        "MAX_CONNECTIONS",
        number(0, 1_000_000_000),
        0,
        "Connections at once over TCP and the Unix socket; one more is told so and closed; 0 is as many as the system "
        "gives descriptors",
    )
    max_connections_per_address: int = _row(
        "MAX_CONNECTIONS_PER_ADDRESS",
        number(0, 1_000_000_000),
        0,
        "Of these, from one IPv4 address or one /64 of IPv6; 0 is no limit",
    )
    max_batch: int = _row("MAX_BATCH", number(1, 100_000), 100_000, "Jobs of one PUSHB; a longer batch is refused")
    max_parked: int = _row(
        "MAX_PARKED", number(0, 1_000_000_000), 10_000, "Pulls and WAITJOBs of one connection that wait"
    )
    max_subscribers: int = _row(
        "MAX_SUBSCRIBERS", number(0, 1_000_000_000), 10_000, "Connections that are told of events"
    )
    auth_timeout_ms: int = _row(
        "AUTH_TIMEOUT",
        number(0, 86_400_000, "MS", " (milliseconds)"),
        10_000,
        "Milliseconds a connection may go without a token, where one is needed; 0 is no limit",
    )
    line_timeout_ms: int = _row(
        "LINE_TIMEOUT",
        number(0, 86_400_000, "MS", " (milliseconds)"),
        60_000,
        "Milliseconds a line may take from its first byte to its last, and one more for each 16 bytes of it; 0 is no "
        "limit",
    )
    max_deliveries: int = _row(
        "MAX_DELIVERIES", number(1, (1 << 31) - 1), 10, "Lost deliveries after which a job goes to the DLQ"
    )
    lease_ms: int = _row(
        "LEASE",
        number(1, 366 * 86_400_000, "MS", " (milliseconds)"),
        1_800_000,
        "Milliseconds that a leased job is held where the pull does not say; 1800000 is half an hour",
    )
    result_ttl_ms: int = _row(
        "RESULT_TTL",
        number(0, 366 * 86_400_000, "MS", " (milliseconds)"),
        3_600_000,
        "Milliseconds that a completed job and its result are kept to be looked at; 3600000 is an hour",
    )
    result_max: int = _row(
        "RESULT_MAX", number(0, 1_000_000_000, "N"), 100_000, "Completed jobs kept at most; 0 keeps none"
    )
    log_level: str = _row(
        "LOG_LEVEL", choice("debug", "info", "warning", "error"), "warning", "What is logged on stderr"
    )
    log_format: str = _row(
        "LOG_FORMAT",
        choice("console", "json"),
        "console",
        "How: lines for people, or a JSON object a line (the start-up line too) for programs",
    )
    persist: str | None = _row("PERSIST", FOLDER, None, "Keep jobs on disk: in the working folder (1) or in this one")
    fsync: str = _row(
        "FSYNC", choice("always", "everysec", "none"), "always", "When records reach the disk; for PERSIST"
    )
    http: bool = _row("HTTP", SWITCH, False, "Serve REST, metrics and the dashboard")
    http_hosts: tuple[str, ...] = _row("HTTP_HOST", HOSTS, ("localhost",), "Where HTTP listens; for HTTP")
    http_port: int = _row("HTTP_PORT", PORT, 6790, "Port of HTTP; 0 takes any free one; for HTTP")
    http_names: tuple[str, ...] = _row(
        "HTTP_NAMES",
        NAMES,
        (),
        "Further names that requests may give as their Host where no tokens are set, with commas between: addresses, "
        "localhost, HTTP_HOST, this machine's name and names without a dot always may; for HTTP",
        shown_default="none",
    )
    http_threads: int = _row(
        "HTTP_THREADS",
        number(HTTP_RESERVE + 1, 1024),
        32,
        f"Threads of HTTP. A pull that waits and a stream take one each, but never the last {HTTP_RESERVE}; for HTTP",
    )
    http_max_body: int = _row(
        "HTTP_MAX_BODY", size(1 << 10, 1 << 30), 16 << 20, "Longest body of a request (MAX_LINE holds too); for HTTP"
    )
    http_max_header: int = _row(
        "HTTP_MAX_HEADER",
        size(1 << 10, 1 << 20),
        32 << 10,
        "Longest head of a request, all headers together; for HTTP",
    )
    cors_origin: tuple[str, ...] = _row(
        "CORS_ORIGIN",
        ORIGINS,
        (),
        "Origins whose pages may use HTTP from a browser, such as https://app.example.org, with commas between; * is "
        "any; for HTTP",
        shown_default="off",
    )
    metrics_queues: int = _row(
        "METRICS_QUEUES",
        number(0, 100_000),
        100,
        "Queues with a label of their own in the Prometheus text, the busiest first; the rest is summed up; for HTTP",
    )
    dashboard: str = _row(
        "DASHBOARD",
        choice("off", "read", "full"),
        "full",
        "The dashboard: off, read (it offers no actions; REST does as before) or full; for HTTP",
    )
    dashboard_streams: int = _row(
        "DASHBOARD_STREAMS", number(0, 1024), 8, "Dashboards that are updated live at once; others ask; for HTTP"
    )


def _setting(name: str, default: object, row: _Row) -> Setting:
    key = row.env.lower()
    shown = row.kind.show(default) if row.shown_default is None else row.shown_default
    flag = "--" + key.replace("_", "-")
    return Setting(name, flag, row.env, key, row.kind, shown, row.doc, row.secret)


SETTINGS: tuple[Setting, ...] = tuple(
    _setting(f.name, None if f.default is MISSING else f.default, f.metadata["row"]) for f in fields(Settings)
)
"""The table, in the order of Settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the commands that talk to a daemon find it. What is None or off here follows from the daemon's settings."""

    url: str | None = _row(
        "MQ_URL",
        Kind("URL", "a URL such as mq://host:port, mqs://host:port or unix:///path", text_of),
        None,
        "Daemon that the other commands talk to: mq://[TOKEN@]HOST[:PORT], mqs://… for TLS, unix://[TOKEN@]/PATH. "
        "Without it UNIX_SOCKET, else HOST and PORT say where",
        shown_default="none",
        secret=True,  # a token may be in it
    )
    token: str | None = _row(
        "MQ_TOKEN",
        Kind("TOKEN", "a token", text_of),
        None,
        "Token to give to the daemon; without it the first of AUTH_TOKENS",
        shown_default="none",
        secret=True,
    )
    tls: bool = _row("MQ_TLS", SWITCH, False, "Talk TLS to HOST and PORT")
    ca: str | None = _row(
        "MQ_CA",
        Kind("FILE", "a file", text_of),
        None,
        "Certificates (PEM) that vouch for the daemon's, instead of the system's; for TLS",
        shown_default="the system's",
    )


def _client_setting(name: str, default: object, row: _Row) -> Setting:
    key = row.env.lower().removeprefix("mq_")
    shown = row.kind.show(default) if row.shown_default is None else row.shown_default
    return Setting(name, f"--{key}", row.env, key, row.kind, shown, row.doc, row.secret)


CLIENT_SETTINGS: tuple[Setting, ...] = tuple(
    _client_setting(f.name, f.default, f.metadata["row"]) for f in fields(ClientSettings)
)
"""The rows of the commands that talk to a daemon, in the order of ClientSettings."""

CONFIG = Setting(
    field="",
    flag="--config",
    env="MQFAST_CONFIG",
    key="",
    kind=Kind("FILE", "a file", text_of),
    default="none",
    doc="TOML file with settings; flags and environment variables come before it",
)


DEFAULT = "default"
_KEYS = tuple(s.key for s in (*SETTINGS, *CLIENT_SETTINGS))


class _Given(NamedTuple):
    value: object
    source: str


@dataclass(frozen=True, slots=True)
class Traced:
    """A row with the value it has, and where that came from: "default" if from nowhere (the value is None then)."""

    setting: Setting
    value: Any
    source: str


def load(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Settings from flags (by TOML key, and "config"; None where not given), then environ, then the TOML file.

    Raises SettingsError with a line for everything that is wrong: unknown keys of the file, and each value that would
    have been used and cannot be.
    """
    return Settings(**{t.setting.field: t.value for t in trace(SETTINGS, flags, environ) if t.source != DEFAULT})


def trace(table: Sequence[Setting], flags: Mapping[str, str | None], environ: Mapping[str, str]) -> list[Traced]:
    """The rows of the table in their order, each with its value and where that came from. Raises as load does."""
    path = flags.get("config") or environ.get(CONFIG.env)
    document = _read(path) if path else {}
    errors = [_unknown_key(path, key) for key in document if key not in _KEYS]
    traced = []
    for setting in table:
        given = _find(setting, flags, environ, document, path)
        if given is None:
            traced.append(Traced(setting, None, DEFAULT))
            continue
        try:
            traced.append(Traced(setting, setting.kind.parse(given.value), given.source))
        except ValueError:
            errors.append(_bad_value(setting, given))
    if errors:
        raise SettingsError(errors)
    return traced


def _find(
    setting: Setting,
    flags: Mapping[str, str | None],
    environ: Mapping[str, str],
    document: Mapping[str, object],
    path: str | None,
) -> _Given | None:
    flag = flags.get(setting.key)
    if flag is not None:
        return _Given(flag, f"flag {setting.flag}")
    if setting.env in environ:
        return _Given(environ[setting.env], "environment variable")
    if setting.key in document:
        return _Given(document[setting.key], f"key {setting.key} in {path}")
    return None


def _read(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise SettingsError(
            [f"cannot read the settings file {path}: {(error.strerror or str(error)).lower()}"]
        ) from None
    except ValueError as error:  # of the path, of UTF-8, of TOML
        raise SettingsError([f"the settings file {path} is not valid TOML: {error}"]) from None


def _unknown_key(path: str | None, key: str) -> str:
    near = difflib.get_close_matches(key.lower(), _KEYS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown key {_quoted(key)} in {path}{hint}"


def _bad_value(setting: Setting, given: _Given) -> str:
    got = "" if setting.secret else f", got {_quoted(given.value)}"
    return f"{setting.env} ({given.source}): expected {setting.kind.expected}{got}"


def _quoted(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


def help_text(setting: Setting) -> str:
    """The setting's lines in --help: what it does, its environment variable, its default."""
    return f"{setting.doc}. [{setting.env}; default: {setting.default}]"


def markdown_table() -> str:
    """The settings as a Markdown table, ending in a newline."""
    lines = ["| Flag | Environment | TOML key | Value | Default | Meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for s in (CONFIG, *SETTINGS, *CLIENT_SETTINGS):
        key = f"`{s.key}`" if s.key else ""
        lines.append(f"| `{s.flag}` | `{s.env}` | {key} | {s.kind.expected} | {s.default} | {s.doc} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """The text with the present table between its two markers. Raises ValueError if it does not have both."""
    before, begin, rest = text.partition(TABLE_BEGIN)
    _, end, after = rest.partition(TABLE_END)
    if not begin or not end:
        raise ValueError(f"no {TABLE_BEGIN} … {TABLE_END} in the text")
    return f"{before}{begin}\n{markdown_table()}{end}{after}"


def _main(arguments: Sequence[str]) -> None:
    if not arguments:
        sys.stdout.write(markdown_table())
    for name in arguments:
        path = Path(name)
        path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1:])
