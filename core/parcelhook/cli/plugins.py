"""Answer ``parcelhook plugins``: what is installed, and how each fares."""

from __future__ import annotations

import click

from parcelhook.cli.invocation import Group, Invocation, pass_invocation
from parcelhook.cli.output import write_json, write_table


@click.group(cls=Group)
def plugins() -> None:
    """Show the plug-ins that are installed."""


@plugins.command("list")
@pass_invocation
def list_plugins(invocation: Invocation) -> None:
    """Load every plug-in and tell how it fares.

    A plug-in that failed, is incompatible, in conflict, suspended or disabled is listed with the reason; the others
    work on.
    """
    with invocation.installation() as installation:
        rows = installation.registry.plugins()
    if invocation.as_json:
        write_json(
            [
                {
                    "name": row.name,
                    "distribution": row.distribution,
                    "version": row.version,
                    "carriers": sorted(row.carriers),
                    "hooks": sorted(row.hooks),
                    "state": row.state,
                    "reason": row.reason,
                    "seconds": round(row.load_seconds, 4),
                }
                for row in rows
            ]
        )
        return
    write_table(
        ("Plug-in", "From", "Version", "Carriers", "State", "Reason"),
        [(row.name, row.distribution, row.version, _few(row.carriers), row.state, row.reason) for row in rows],
    )


def _few(carriers: tuple[str, ...]) -> str:
    names = sorted(carriers)
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} more"  # noqa: PLR2004 - fits a line
