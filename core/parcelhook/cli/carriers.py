"""Answer ``parcelhook carriers``: who is served, and all that is known of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Group, Invocation, pass_invocation
from parcelhook.cli.output import Json, write_json, write_line, write_table

if TYPE_CHECKING:
    from parcelhook.carrier import Carrier


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def carriers(context: click.Context) -> None:
    """Show the carriers that are served.

    Without a command all of them are listed.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_carriers)


@carriers.command("list")
@pass_invocation
def list_carriers(invocation: Invocation) -> None:
    """List the carriers by id."""
    with invocation.installation() as installation:
        served = installation.registry.carriers()
    if invocation.as_json:
        write_json([_summary(carrier) for carrier in served])
        return
    write_table(
        ("Carrier", "Name", "Countries", "Wix provider", "Can"),
        [
            (each.id, each.name, each.countries, each.wix_provider, [str(can) for can in sorted(each.capabilities)])
            for each in served
        ],
    )


@carriers.command("show")
@click.argument("carrier")
@click.option("--number", metavar="N", help="Try this number: does it match, and where does its link lead?")
@pass_invocation
def show(invocation: Invocation, *, carrier: str, number: str | None) -> None:
    """Show all that is known of a carrier."""
    with invocation.installation() as installation:
        registry = installation.registry
        served = registry.carrier(carrier)
        known: dict[str, Json] = {
            **served.model_dump(mode="json", exclude={"settings", "api"}),
            "hooks": sorted(registry.hook_names(carrier)),
            "settings": _settings(served, installation.settings.carrier(carrier)),
        }
        if number is not None:
            known["number"] = _tried(served, number)
    if invocation.as_json:
        write_json(known)
    else:
        _show(known)


def _summary(carrier: Carrier) -> Json:
    return {
        "id": carrier.id,
        "name": carrier.name,
        "countries": list(carrier.countries),
        "wix_provider": carrier.wix_provider,
        "capabilities": sorted(carrier.capabilities),
        "link": carrier.link or carrier.landing_page,
        "services": sorted({each.service for each in carrier.numbers}),
        "status_codes": len(carrier.statuses) + sum(map(len, carrier.status_tables.values())),
    }


def _settings(carrier: Carrier, configured: dict[str, object]) -> list[Json]:
    """Tell which settings a carrier takes and which are configured, without any value."""
    fields = carrier.settings.model_fields if carrier.settings else {}
    return [
        {
            "name": name,
            "required": field.is_required(),
            "configured": name in configured,
            "description": field.description or "",
        }
        for name, field in fields.items()
    ]


def _tried(carrier: Carrier, number: str) -> Json:
    from parcelhook.links import tracking_link
    from parcelhook.numbers import FormatIndex, as_given, for_links, matches

    given = as_given(number, field="--number")
    found = FormatIndex([carrier]).identify(given, carrier=carrier.id)
    return {
        "given": given,
        "matches": matches(carrier, given),
        "services": [each.service for each in found],
        "url": tracking_link(carrier, for_links(carrier, given)),
    }


def _show(known: dict[str, Json]) -> None:
    tables = {name: known.pop(name) for name in ("numbers", "statuses", "status_tables", "status_texts", "settings")}
    write_table(("What", "Known"), [(name, _cell(value)) for name, value in known.items() if value not in (None, [])])
    _show_rows(tables["numbers"], ("service", "rank", "check_digit", "pattern"))
    _show_rows(tables["settings"], ("name", "required", "configured", "description"))
    codes = tables["statuses"]
    if isinstance(codes, dict) and codes:
        write_line()
        write_table(("Code", "Status"), [(code, _status(row)) for code, row in codes.items()])


def _show_rows(rows: Json, columns: tuple[str, ...]) -> None:
    cells = (
        [[_cell(row[column]) for column in columns] for row in rows if isinstance(row, dict)]
        if isinstance(rows, list)
        else []
    )
    if cells:
        write_line()
        write_table([column.replace("_", " ").capitalize() for column in columns], cells)


def _cell(value: Json) -> object:
    if isinstance(value, dict):
        shown = {name: each for name, each in value.items() if each not in (None, [], "", False, 0)}
        return ", ".join(f"{name}: {_cell(each)}" for name, each in shown.items())
    return value


def _status(row: Json) -> str:
    if not isinstance(row, dict):
        return ""
    status = "info" if row.get("info") else str(row["status"])
    return f"{status} ({row['reason']})" if row.get("reason") else status
