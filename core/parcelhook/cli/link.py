"""Answer ``parcelhook link``: the page on which a parcel can be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import warn, write_json, write_line
from parcelhook.errors import InvalidTrackingLink

if TYPE_CHECKING:
    from parcelhook.carrier import Carrier
    from parcelhook.models import Shipment
    from parcelhook.registry import Registry


@click.command(cls=Command)
@click.argument("carrier")
@click.argument("number")
@click.option("--postal-code", metavar="P", help="The consignee's postal code, where the carrier's page wants it.")
@click.option("--country", metavar="CC", help="The consignee's country, where the carrier's page wants it.")
@click.option("--locale", metavar="L", help="The language of the page, as in fr or fr-CA.")
@pass_invocation
def link(
    invocation: Invocation,
    *,
    carrier: str,
    number: str,
    postal_code: str | None,
    country: str | None,
    locale: str | None,
) -> None:
    """Build the tracking link of a number.

    CARRIER is a carrier's id, as "parcelhook carriers" shows them. The carrier's plug-in is asked where it makes links
    itself; otherwise the carrier's template is filled in.
    """
    from parcelhook.models import Shipment
    from parcelhook.numbers import as_given, matches

    given = as_given(number, field="NUMBER")
    with invocation.installation() as installation:
        registry = installation.registry_of(invocation.store) if invocation.store else installation.registry
        served = registry.carrier(carrier)
        if not matches(served, given):
            warn(f"{given} does not look like a number of {served.name}")
        shipment = Shipment(
            carrier=served.id, tracking_number=given, postal_code=postal_code, country=country, locale=locale
        )
        url = _url(registry, served, shipment)
    if not invocation.as_json:
        write_line(url)
        return
    write_json(
        {
            "carrier": served.id,
            "number": given,
            "url": url,
            "shipping_provider": served.wix_provider or served.name,
            "predefined": served.wix_provider is not None,
        }
    )


def _url(registry: Registry, carrier: Carrier, shipment: Shipment) -> str:
    """Give the plug-in's link, else the template's; raise InvalidTrackingLink where there is neither."""
    from parcelhook.links import checked_link, tracking_link
    from parcelhook.numbers import for_links

    from_hook = registry.resolve_tracking_url(shipment)
    if from_hook is not None:
        return checked_link(from_hook, carrier=carrier, allow_loopback=True)
    url = tracking_link(
        carrier,
        for_links(carrier, shipment.tracking_number),
        postal_code=shipment.postal_code,
        country=shipment.country,
        locale=shipment.locale,
    )
    if url is None:
        msg = f"{carrier.name} has no page on which a parcel can be followed by its number"
        hint = "Wix needs a complete link for this carrier: give one with the shipment."
        raise InvalidTrackingLink(msg, field="CARRIER", what_to_do=hint)
    return url
