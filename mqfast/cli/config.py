"""mqfast config: the settings, and where each of them came from."""

import re
from typing import Any

import click

from mqfast.cli.group import GroupWithDefault
from mqfast.cli.options import Session, json_option
from mqfast.cli.output import Column, Output
from mqfast.cli.serve import daemon_options
from mqfast.settings import CLIENT_SETTINGS, DEFAULT, SETTINGS, Traced, help_text, trace

HIDDEN = "(hidden)"
_TOKEN = re.compile(r"//.*@")
COLUMNS = [
    Column("SETTING", "setting", style=lambda row: "bold"),
    Column("VALUE", "value", grow=True, style=lambda row: "dim" if row["source"] == DEFAULT else "green"),
    Column("FROM", "source", grow=True, style=lambda row: "dim" if row["source"] == DEFAULT else ""),
]


@click.group(cls=GroupWithDefault, default="show")
def config() -> None:
    """The settings. Without a command: show them."""


@config.command()
@json_option
@click.pass_obj
def show(session: Session, /, as_json: bool, **flags: str | None) -> None:
    """Show each setting, its value, and where that came from. It takes all their flags."""
    rows = [_row(traced) for traced in trace((*SETTINGS, *CLIENT_SETTINGS), flags, session.environ)]
    Output(as_json).table(COLUMNS, rows, empty="")


for _parameter in daemon_options():
    show.params.append(_parameter)
for _setting in CLIENT_SETTINGS:
    _more: dict[str, Any] = {} if _setting.kind.bare is None else {"is_flag": False, "flag_value": _setting.kind.bare}
    show.params.append(
        click.Option([_setting.flag, _setting.key], metavar=_setting.kind.metavar, help=help_text(_setting), **_more)
    )


def _row(traced: Traced) -> dict[str, str]:
    setting = traced.setting
    if traced.source == DEFAULT:
        value = setting.default
    elif setting.key == "url":
        value = _TOKEN.sub(f"//{HIDDEN}@", traced.value)
    elif setting.secret:
        value = HIDDEN if traced.value else "none"
    else:
        value = setting.kind.show(traced.value)
    return {"setting": setting.env, "value": value, "source": traced.source}
