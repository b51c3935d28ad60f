"""Answer ``parcelhook link``: the page on which a parcel can be followed."""

from __future__ import annotations

import click

from parcelhook.cli.invocation import Command, Invocation, pass_invocation
from parcelhook.cli.output import warn, write_json, write_line


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
    from parcelhook.fulfillment.linking import carrier_link
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
        url = carrier_link(registry, served, shipment, allow_loopback=True)
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
