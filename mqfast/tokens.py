"""Tokens with roles: those of AUTH_TOKENS, which open everything, and those of the tokens file (TOKENS_FILE).

The file is TOML: a ``[[token]]`` for each, with ``token`` (the secret), ``roles`` (one or more of producer, worker,
reader, admin), and perhaps ``queues`` (names, ``*`` for any characters; without it the token is for all) and ``name``
(for people).
"""

import os
import stat
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from mqfast.errors import SettingsError

ROLES = {"producer": 1, "worker": 2, "reader": 4, "admin": 8}
"""As the engine numbers them (csrc/include/mqfast.h)."""

_KEYS = frozenset({"token", "roles", "queues", "name"})
_LONGEST = 1024  # bytes of a token, as AUTH takes it


class Grant(NamedTuple):
    """What a token opens. roles: sum of ROLES. queues: patterns; none is all of them."""

    token: str
    roles: int
    queues: tuple[str, ...] = ()


def grants(auth_tokens: tuple[str, ...], tokens_file: str | None) -> list[Grant]:
    """All tokens; none: nobody needs one. Raises SettingsError with a line for everything that is wrong."""
    found = [Grant(token, ROLES["admin"]) for token in auth_tokens]
    if tokens_file is not None:
        found += _read(tokens_file)
    tokens = [grant.token for grant in found]
    if len(set(tokens)) < len(tokens):
        raise SettingsError(["a token is given twice in AUTH_TOKENS and TOKENS_FILE"])
    return found


def is_open_to_others(tokens_file: str) -> bool:
    """Whether others than its owner may read or write the file."""
    try:
        return bool(os.stat(tokens_file).st_mode & (stat.S_IRWXO | stat.S_IWGRP))
    except OSError:
        return False


def _read(path: str) -> list[Grant]:
    try:
        document = tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise SettingsError([f"cannot read the tokens file {path}: {(error.strerror or str(error)).lower()}"]) from None
    except ValueError as error:  # of the path, of UTF-8, of TOML; the text shows no more of it than a place
        raise SettingsError([f"the tokens file {path} is not valid TOML: {error}"]) from None
    rows = document.get("token", [])
    errors = [f"{path}: unknown key {key}: each token is a [[token]]" for key in document if key != "token"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError([*errors, f"{path}: each token is a [[token]] with token and roles"])
    if not rows:  # an empty file must not open the server to everybody
        errors.append(f"{path}: there is no [[token]] in it")
    found = []
    for number, row in enumerate(rows, 1):
        where = f"{path}: [[token]] number {number}"
        errors += [f"{where}: {problem}" for problem in _problems(row)]
        if not errors:
            roles = sum(ROLES[role] for role in set(row["roles"]))
            found.append(Grant(row["token"], roles, tuple(row.get("queues", ()))))
    if errors:
        raise SettingsError(errors)
    return found


def _problems(row: dict[str, Any]) -> list[str]:
    """What is wrong with a token's row, without the token itself."""
    problems = [f"unknown key {key}" for key in row if key not in _KEYS]
    token, roles, queues = row.get("token"), row.get("roles"), row.get("queues", [])
    if not isinstance(token, str) or not token or "\0" in token or len(token.encode()) > _LONGEST:
        problems.append(f"token must be a text of 1 to {_LONGEST} bytes")
    if not isinstance(roles, list) or not roles or not all(isinstance(r, str) and r in ROLES for r in roles):
        problems.append(f"roles must be a list of some of {', '.join(ROLES)}")
    if not isinstance(queues, list) or not all(isinstance(q, str) and q and "\0" not in q for q in queues):
        problems.append("queues must be a list of names of queues, in which * stands for any characters")
    elif "queues" in row and not queues:
        problems.append("queues is empty: leave it out for a token for all queues")
    return problems
