"""What Wix has of an order beside what the ledger says of it, and where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from parcelhook.ledger.rows import ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.wix.fulfillments import Fulfillment

AT_WIX: Final = frozenset({State.CREATED, State.NEEDS_REVIEW})


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise at Wix than here; ``told`` says it in a sentence, with what helps."""

    what: str
    at_wix: str | None
    here: str | None
    told: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A fulfillment with its shipment; others made it where there is no shipment, and Wix has none where it is None."""

    fulfillment: Fulfillment | None
    row: ShipmentRow | None
    differences: tuple[Difference, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """Give the differences in sentences."""
        return tuple(each.told for each in self.differences)


def compare(at_wix: Sequence[Fulfillment], rows: Sequence[ShipmentRow]) -> list[Compared]:
    """Give each fulfillment of an order with its shipment, and then the shipments that Wix does not have."""
    ours = {row.fulfillment_id: row for row in rows if row.fulfillment_id is not None}
    compared = [_compared(each, ours.get(each.id)) for each in at_wix]
    present = {each.id for each in at_wix}
    missing = (row for row in rows if row.fulfillment_id not in present)
    return [*compared, *(Compared(None, row, tuple(_gone(row))) for row in missing)]


def _compared(fulfillment: Fulfillment, row: ShipmentRow | None) -> Compared:
    return Compared(fulfillment, row, tuple(_differences(fulfillment, row)) if row else ())


def _differences(fulfillment: Fulfillment, row: ShipmentRow) -> Iterator[Difference]:
    named, info = f"fulfillment {fulfillment.id}", fulfillment.tracking_info
    if row.state is State.DELETED:
        told = f"{named} is at Wix, and shipment {row.id} is DELETED here."
        yield Difference("state", "present", row.state.value, told)
        return
    if fulfillment.status != row.wix_status:
        told = f"{named} has the status {_word(fulfillment.status)} at Wix; here it was {_word(row.wix_status)} last."
        yield Difference("status", fulfillment.status, row.wix_status, told)
    if row.wanted_wix_status is not None and row.wanted_wix_status != fulfillment.status:
        told = f"{named} has the status {_word(fulfillment.status)}; Wix is still to be told {row.wanted_wix_status}."
        yield Difference("wanted_status", fulfillment.status, row.wanted_wix_status, told)
    number, provider, link = (info.number, info.provider, info.link) if info else (None, None, None)
    if (number or "").strip() != row.tracking_number:
        told = f"{named} has the number {_word(number)} at Wix, and {_word(row.tracking_number)} here: {_mend(row)}"
        yield Difference("number", number, row.tracking_number, told)
    if row.provider and provider != row.provider:
        told = f"{named} has the provider {_word(provider)} at Wix, and {row.provider} here: {_mend(row)}"
        yield Difference("provider", provider, row.provider, told)
    if row.tracking_url and link != row.tracking_url:
        told = f"{named} has the link {_word(link)} at Wix, and {row.tracking_url} here: {_mend(row)}"
        yield Difference("link", link, row.tracking_url, told)


def _gone(row: ShipmentRow) -> Iterator[Difference]:
    if row.fulfillment_id is not None and row.state in AT_WIX:
        told = (
            f"fulfillment {row.fulfillment_id} is not at Wix any more, and shipment {row.id} is {row.state} here: "
            f"parcelhook shipments delete {row.id} notes that."
        )
        yield Difference("state", None, row.state.value, told)


def _mend(row: ShipmentRow) -> str:
    return f"parcelhook shipments correct {row.id} --number N, with the right one, mends it."


def _word(value: str | None) -> str:
    return value or "(none)"
