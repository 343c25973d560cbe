"""Kinds of values that settings have: how each is read from text or TOML, and shown."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DEFAULT_UNIX_SOCKET = "/tmp/magic-queue.sock"
MAX_UNIX_PATH = 107  # bytes; what the kernel's sockaddr_un holds beside the final NUL

_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"", "0", "false", "no", "off"})
_SIZE_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of value: how it is read, how it is shown, and what is said when it cannot be read."""

    metavar: str
    expected: str
    parse: Callable[[object], object]  # takes text or what TOML gave; raises ValueError
    show: Callable[[Any], str] = str
    bare: str | None = None  # the value of the flag when it is given without one


def text_of(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _word_of(value: object) -> str:
    """Text in lower case; TOML's true, false, 1 and 0 count as text."""
    if isinstance(value, bool | int):
        return str(int(value))
    return text_of(value).strip().lower()


def number(low: int, high: int, metavar: str = "N", unit: str = "") -> Kind:
    def parse(value: object) -> int:
        if isinstance(value, bool):
            raise ValueError(value)
        number = value if isinstance(value, int) else _digits(text_of(value).strip())
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return Kind(metavar, f"a whole number from {low} to {high}{unit}", parse)


def _digits(text: str, base: int = 10) -> int:
    if not re.fullmatch("[0-7]{1,19}" if base == 8 else "[0-9]{1,19}", text):
        raise ValueError(text)
    return int(text, base)


def show_size(size: int) -> str:
    """A number of bytes in the largest unit that divides it, in the form that the settings accept: ``16MiB``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def size(low: int, high: int) -> Kind:
    def parse(value: object) -> int:
        if isinstance(value, bool):
            raise ValueError(value)
        if isinstance(value, int):
            size = value
        else:
            match = re.fullmatch(r"([0-9]+)\s*([a-z]*)", text_of(value).strip().lower())
            if match is None or match[2] not in _SIZE_UNITS:
                raise ValueError(value)
            size = _digits(match[1]) * _SIZE_UNITS[match[2]]
        if not low <= size <= high:
            raise ValueError(value)
        return size

    expected = f"a size from {show_size(low)} to {show_size(high)}, in bytes or with KiB, MiB or GiB, such as 16MiB"
    return Kind("SIZE", expected, parse, show_size)


def _items(value: object) -> tuple[str, ...]:
    """A list from TOML as it is, or text split at its commas; an item is never empty."""
    items = value if isinstance(value, list) else [item.strip() for item in text_of(value).split(",")]
    texts = tuple(text_of(item) for item in items)
    for text in texts:
        if not text or "\0" in text:
            raise ValueError(value)
        text.encode()  # UnicodeEncodeError, a ValueError: bytes of the environment that are not UTF-8
    return texts


def _parse_hosts(value: object) -> tuple[str, ...]:
    hosts = tuple(host.removeprefix("[").removesuffix("]") for host in _items(value))
    if not all(hosts):
        raise ValueError(value)
    return hosts


def _parse_tokens(value: object) -> tuple[str, ...]:
    return () if value == "" else _items(value)


def _parse_origins(value: object) -> tuple[str, ...]:
    if value is False or (isinstance(value, str) and value.strip().lower() in _OFF):
        return ()
    origins = tuple(origin.lower() for origin in _items(value))
    if not all(origin == "*" or re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s]+", origin) for origin in origins):
        raise ValueError(value)
    return origins


def _parse_path(value: object) -> str | None:
    """None for off, "1" for on without a path of its own, else the path."""
    word = _word_of(value)
    if word in _OFF:
        return None
    if word in _ON:
        return "1"
    path = text_of(value)
    if not path.strip() or "\0" in path:
        raise ValueError(value)
    return path


def _parse_folder(value: object) -> str | None:
    path = _parse_path(value)
    return "." if path == "1" else path


def _parse_file(value: object) -> str | None:
    path = _parse_path(value)
    if path == "1":
        raise ValueError(value)
    return path


def _parse_unix_socket(value: object) -> str | None:
    path = _parse_path(value)
    if path == "1":
        return DEFAULT_UNIX_SOCKET
    if path is not None and len(os.fsencode(path)) > MAX_UNIX_PATH:
        raise ValueError(value)
    return path


def _parse_mode(value: object) -> int:
    mode = _digits(text_of(value).strip().removeprefix("0o"), 8)  # never a TOML number: 660 would be read as decimal
    if mode > 0o777:
        raise ValueError(value)
    return mode


def _parse_switch(value: object) -> bool:
    word = _word_of(value)
    if word not in _ON | _OFF:
        raise ValueError(value)
    return word in _ON


def choice(*choices: str) -> Kind:
    def parse(value: object) -> str:
        text = text_of(value).strip().lower()
        if text not in choices:
            raise ValueError(value)
        return text

    return Kind("NAME", "one of " + ", ".join(choices), parse)


HOSTS = Kind("HOSTS", "one or more host names or addresses, with commas between", _parse_hosts, ",".join)
TOKENS = Kind("TOKENS", "one or more tokens, with commas between, none of them empty", _parse_tokens, ",".join)
SWITCH = Kind("0|1", "1 or 0", _parse_switch, lambda on: str(int(on)), bare="1")
FOLDER = Kind("1|FOLDER", "1, a folder, or 0 for off", _parse_folder, lambda path: path or "off", bare="1")
UNIX_SOCKET = Kind(
    "1|PATH",
    f"1, a path of at most {MAX_UNIX_PATH} bytes, or 0 for off",
    _parse_unix_socket,
    lambda path: path or "off",
    bare="1",
)
NAMES = Kind("NAMES", "one or more host names, with commas between", _parse_tokens, ",".join)
ORIGINS = Kind("ORIGINS", "one or more origins such as https://app.example.org, or *", _parse_origins, ",".join)
MODE = Kind("MODE", "an octal file mode as text, such as 0660", _parse_mode, lambda mode: f"{mode:04o}")
FILE = Kind("FILE", "a file, or 0 for off", _parse_file, lambda path: path or "off")
PORT = number(0, 65535, "PORT")
