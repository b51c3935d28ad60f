"""What the options before and after a command say, and what a command makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from parcelhook.cli.installation import Installation
    from parcelhook.settings import Settings


@dataclass
class Invocation:
    """One run of the command line; ``as_json`` asks for one JSON value on stdout and nothing else there."""

    config: str | None = None
    store: str | None = None
    as_json: bool = False
    debug: bool = False
    no_plugins: bool = False

    def settings(self) -> Settings:
        """Read the configuration; raise ConfigurationError where it is wrong."""
        from pathlib import Path

        from parcelhook.settings import Settings

        return Settings.load(Path(self.config) if self.config else None)

    def installation(self) -> Installation:
        """Give what the configuration describes, to be used in a ``with``."""
        from parcelhook.cli.installation import Installation

        return Installation(self.settings(), plugins_enabled=not self.no_plugins)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def _remember(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    invocation = ctx.ensure_object(Invocation)
    if value:
        setattr(invocation, str(parameter.name), value)


def common_options(*, all_shown: bool) -> list[click.Option]:
    """Give the options that every command takes before and after its name; ``--json`` is always shown."""

    def option(*names: str, help: str, shown: bool = all_shown, metavar: str | None = None) -> click.Option:  # noqa: A002
        return click.Option(
            names,
            help=help,
            hidden=not shown,
            metavar=metavar,
            is_flag=metavar is None,
            expose_value=False,
            callback=_remember,
        )

    return [
        option("--json", "as_json", help="Print one JSON value and nothing else.", shown=True),
        option("--config", metavar="FILE", help="Read this file instead of parcelhook.toml."),
        option("--store", metavar="NAME", help="The store that is meant, where several are configured."),
        option("--no-plugins", help="Load the built-in carriers alone."),
        option("--debug", help="Show the traceback of an error."),
    ]


class Command(click.Command):
    """A command that takes the common options."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.params = [*self.params, *common_options(all_shown=False)]


class Group(click.Group):
    """A group of such commands; it takes the common options as well."""

    command_class = Command

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.params = [*self.params, *common_options(all_shown=False)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show help where a command is still to be named, which is what was asked for and no mistake."""
        if not args and self.no_args_is_help:
            if ctx.ensure_object(Invocation).as_json:
                ctx.fail("Missing command.")
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)
