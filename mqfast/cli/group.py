"""A group of commands of which one is meant when none is named."""

import click


class GroupWithDefault(click.Group):
    """`mqfast cron --json` is `mqfast cron list --json`. default: the command's name."""

    def __init__(self, *args: object, default: str, **attributes: object) -> None:
        super().__init__(*args, **attributes)  # type: ignore[arg-type]
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = [self._default, *args]
        return super().parse_args(ctx, args)
