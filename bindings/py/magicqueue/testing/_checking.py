"""Checks requests as the daemon does, by its own table of commands and fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._commands import COMMANDS, FIELDS, Field


class Refusal(Exception):
    """A refusal on its way to a client."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def check_request(command: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a command, by their names in snake_case; null counts as absent. Raises Refusal."""
    fields = COMMANDS[command]
    return _check(request, fields.required, (*fields.optional, "req_id"))


def check_item(item: object) -> dict[str, Any]:
    """A job of a batch."""
    if not isinstance(item, dict):
        raise _invalid("a job must be an object")
    return _check(item, ("data",), COMMANDS["PUSH"].optional)


def _check(request: Mapping[str, Any], required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name in (*required, *optional):
        field = FIELDS[name]
        key = field.camel if field.camel in request else name
        value = request.get(key)
        if key not in request or (value is None and field.type != "raw"):
            if name in required:
                raise _invalid(f"{name} is required")
        else:
            _check_value(name, field, value)
            checked[name] = value
    return checked


def _check_value(name: str, field: Field, value: Any) -> None:
    if field.type in ("u64", "i32", "percent"):
        _check_number(name, field, value)
    elif field.type == "id":
        _check_id(name, value)
    elif field.type in ("text", "quote"):
        _check_text(name, field, value)
    elif field.type == "flag":
        _insist(isinstance(value, bool), f"{name} must be true or false")
    elif field.type != "raw":
        _check_list(name, field, value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_number(name: str, field: Field, value: Any) -> None:
    _insist(_is_integer(value), f"{name} must be an integer")
    if field.type == "percent":
        return
    low, high = (field.minimum, field.maximum) if field.type == "u64" else (-(2**31), 2**31 - 1)
    _insist(low <= value <= high, f"{name} must be from {low} to {high}")


def _check_id(name: str, value: Any) -> None:
    _insist(_is_integer(value), f"{name} must be an integer")
    if not 1 <= value < 2**53:
        raise Refusal("bad_id", f"Bad id: {value}")


def _check_text(name: str, field: Field, value: Any) -> None:
    _insist(isinstance(value, str), f"{name} must be a string")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise _invalid(f"{name} must be UTF-8") from None
    _insist(size >= field.minimum, f"{name} must not be empty")
    if size > field.maximum:
        raise Refusal("payload_too_large", f"{name} has {size} bytes, more than {field.maximum}")


def _check_list(name: str, field: Field, value: Any) -> None:
    _insist(isinstance(value, list), f"{name} must be a list")
    if len(value) > field.maximum:
        raise Refusal("payload_too_large", f"{name} has {len(value)} items, more than {field.maximum}")
    for item in value:
        if field.type == "ids":
            _check_id(name, item)
        elif field.type == "texts":
            _insist(item is None or isinstance(item, str), f"{name} must hold strings")


def _insist(holds: bool, text: str) -> None:
    if not holds:
        raise _invalid(text)


def _invalid(text: str) -> Refusal:
    return Refusal("invalid", f"Invalid: {text}")
