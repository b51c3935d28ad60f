"""What Wix is told about a parcel: provider, and for all but Wix's own providers, the complete tracking link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from parcelhook.carrier import Carrier
from parcelhook.errors import HookFailed, InvalidTrackingLink
from parcelhook.links import checked_link, tracking_link
from parcelhook.models import Shipment
from parcelhook.numbers import for_links
from parcelhook.registry import Registry

LINK: Final = "parcelhook_resolve_tracking_url"


@dataclass(frozen=True, slots=True)
class TrackingInfo:
    """A provider as Wix spells or shows it, the link ("" where Wix builds it), and where the link came from."""

    provider: str
    url: str
    source: str


def tracking_info(
    registry: Registry, shipment: Shipment, *, given_url: str = "", allow_loopback: bool = False
) -> TrackingInfo:
    """Give provider and link of a shipment: a given link, else Wix's own, else the hook's, else the template's.

    A given link on one of Wix's own providers goes under the carrier's name, as a custom provider's would. Raise
    InvalidTrackingLink where no valid link can be had, and CarrierError where the hook failed.
    """
    carrier = registry.carrier(shipment.carrier)
    if given_url:
        return TrackingInfo(
            carrier.name, checked_link(given_url, carrier=carrier, allow_loopback=allow_loopback), "given"
        )
    if carrier.wix_provider is not None:
        return TrackingInfo(carrier.wix_provider, "", "wix")
    link = carrier_link(registry, carrier, shipment, allow_loopback=allow_loopback)
    return TrackingInfo(carrier.name, link, "carrier")


def carrier_link(registry: Registry, carrier: Carrier, shipment: Shipment, *, allow_loopback: bool) -> str:
    """Give the carrier's own link: the hook's, else the template's; an error of the hook is never papered over."""
    from_hook = registry.resolve_tracking_url(shipment)
    if from_hook is not None:
        try:
            return checked_link(from_hook, carrier=carrier, allow_loopback=allow_loopback)
        except InvalidTrackingLink as error:
            msg = f"{carrier.name}: the link its plug-in gave cannot be used: {error.message}"
            raise HookFailed(msg, carrier=carrier.id, operation=LINK, what_to_do=error.what_to_do) from error
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
        raise InvalidTrackingLink(msg, field="url", what_to_do=hint)
    return url


def can_link(registry: Registry, carrier: Carrier) -> bool:
    """Tell whether the carrier can give a link by itself, or Wix builds it."""
    has_template = carrier.link is not None or carrier.landing_page is not None
    return has_template or carrier.wix_provider is not None or LINK in registry.hook_names(carrier.id)
