"""What a scan means, what a parcel's scans add up to, and how Wix spells it.

A carrier's code becomes a status by the carrier's own tables, text rules and hook; the scans of a parcel are folded
into one state; the state of one or several parcels becomes the status of a Wix fulfillment.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from pydantic import AwareDatetime

from parcelhook.carrier import Carrier, StatusRow, TextRule, comparable_code
from parcelhook.models import Model, Reason, Scan, Status, StatusChange, TrackingReport

Ask: TypeAlias = Callable[[Scan], StatusChange | None]
"""The carrier's ``parcelhook_map_status`` hook, as the registry binds it to its plug-in."""

_FROM_SLOW_TO_FAST: Final = (
    Status.UNKNOWN,
    Status.PRE_TRANSIT,
    Status.PICKED_UP,
    Status.IN_TRANSIT,
    Status.EXCEPTION,
    Status.OUT_FOR_DELIVERY,
    Status.ATTEMPT_FAILED,
    Status.AVAILABLE_FOR_PICKUP,
    Status.RETURN_TO_SENDER,
    Status.CANCELLED,
    Status.FAILURE,
    Status.RETURNED,
    Status.DELIVERED,
)
RANK: Final[Mapping[Status, int]] = {status: rank for rank, status in enumerate(_FROM_SLOW_TO_FAST)}
"""How far along each status is: scans of one instant count in this order; of several parcels the lowest is shown."""

FINAL: Final = frozenset({Status.DELIVERED, Status.RETURNED, Status.FAILURE, Status.CANCELLED})
"""The statuses after which a carrier need not be asked again."""


class WixStatus(StrEnum):
    """The status of a Wix fulfillment, spelled as Wix takes it, from first to last (Order Fulfillments API)."""

    PENDING = "Pending"
    ACCEPTED = "Accepted"
    READY = "Ready"
    IN_DELIVERY = "In_Delivery"
    FULFILLED = "Fulfilled"


WIX_STATUSES: Final = tuple(status.value for status in WixStatus)
"""A fulfillment's statuses at Wix in their usual order, as plain text; anything else is refused there."""

_WIX_ORDER: Final[Mapping[str, int]] = {status: place for place, status in enumerate(WIX_STATUSES)}
_ON_WIX: Final[Mapping[Status, WixStatus]] = {
    Status.PRE_TRANSIT: WixStatus.READY,
    Status.PICKED_UP: WixStatus.IN_DELIVERY,
    Status.IN_TRANSIT: WixStatus.IN_DELIVERY,
    Status.OUT_FOR_DELIVERY: WixStatus.IN_DELIVERY,
    Status.ATTEMPT_FAILED: WixStatus.IN_DELIVERY,
    Status.AVAILABLE_FOR_PICKUP: WixStatus.IN_DELIVERY,
    Status.EXCEPTION: WixStatus.IN_DELIVERY,
    Status.RETURN_TO_SENDER: WixStatus.IN_DELIVERY,
    Status.DELIVERED: WixStatus.FULFILLED,
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a scan means, and ``by`` which row, rule or hook; ``by`` is empty, and the status unknown, without any."""

    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    informational: bool = False
    by: str = ""


class ParcelState(Model):
    """What a parcel's scans add up to.

    ``at`` is the time of the scan that gave the status, ``last_scan_at`` that of the newest scan of any kind, and
    ``delivered_at`` is set only while the status is delivered. Each is None without such a scan.
    """

    status: Status = Status.UNKNOWN
    reason: Reason | None = None
    at: AwareDatetime | None = None
    last_scan_at: AwareDatetime | None = None
    delivered_at: AwareDatetime | None = None


def decide(carrier: Carrier, scan: Scan, *, ask: Ask | None = None) -> Decision:
    """Decide what a scan means, without ever guessing.

    The carrier's tables are asked in its ``status_order``; in the table of codes, ``code/further code`` goes before
    the code alone. The first text rule that fits refines the row; a row with a final status, or ``info``, is refined
    only by a rule that names its status, or a code. ``ask`` is asked where there is no row or the row says so, and
    its None leaves what was found. Where nothing decides, what the plug-in wrote into the scan itself stands.
    """
    meanings = _meanings(carrier)
    row = meanings.row(scan)
    decision = meanings.refined(row.decision, scan) if meanings.rules else row.decision
    if ask is not None and row.ask and (change := ask(scan)) is not None:
        return Decision(change.status, change.reason, by="parcelhook_map_status")
    if not decision.by and (scan.informational or scan.status is not Status.UNKNOWN):
        return Decision(scan.status, scan.reason, scan.informational, by="the plug-in's parsing")
    return decision


def mapped(carrier: Carrier, scan: Scan, *, ask: Ask | None = None) -> Scan:
    """Give the scan with the status, reason and informational mark that ``decide`` finds."""
    decision = decide(carrier, scan, ask=ask)
    meaning = {"status": decision.status, "reason": decision.reason, "informational": decision.informational}
    return scan.model_copy(update=meaning)


def all_scans(report: TrackingReport) -> tuple[Scan, ...]:
    """Give a report's scans, its summary counted as one more."""
    return (*report.scans, report.summary) if report.summary else report.scans


def fold(scans: Iterable[Scan]) -> ParcelState:
    """Fold a parcel's scans into its state; their order of arrival and repetitions cannot matter.

    Scans count in the order of their time, then rank, then key. The newest gives the status, with these exceptions:

    - Scans that are informational or of unknown status move nothing.
    - **Delivered** gives way only to a return, or to a correction: a later scan that cannot be true of a delivered
      parcel (out for delivery, attempt failed, available for pickup, exception, failure). Movement scans after the
      delivery are stragglers, because depots report late what happened before.
    - **Return to sender** lasts while the parcel travels back, so the movement on that way does not hide it, and a
      delivery at its end is the delivery to the sender: **returned**, never delivered to the consignee.
    - **Returned** is the end. **Failure** and **cancelled** give way to a later scan of a parcel on its way, which was
      found again or shipped after all.

    A correction is strictly later. Where one of the two clocks has no known zone it is later by more than a day, as
    the order of two such scans says nothing.
    """
    ordered = sorted({_place(scan): scan for scan in scans}.items(), key=lambda placed: placed[0])
    status, giver = Status.UNKNOWN, None
    for _, scan in ordered:
        after = _after(status, giver, scan)
        if after is not None:
            status, giver = after, scan
    return ParcelState(
        status=status,
        reason=giver.reason if giver else None,
        at=giver.time if giver else None,
        last_scan_at=ordered[-1][1].time if ordered else None,
        delivered_at=giver.time if giver and status is Status.DELIVERED else None,
    )


def shipment_status(parcels: Iterable[ParcelState]) -> Status:
    """Give the status of a shipment of several parcels: the slowest one's, or unknown without parcels."""
    return min((parcel.status for parcel in parcels), key=RANK.__getitem__, default=Status.UNKNOWN)


def wix_status(status: Status) -> WixStatus | None:
    """Give Wix's status for ours, or None where nothing is to be pushed."""
    return _ON_WIX.get(status)


def forward(current: str | None, wanted: str | None) -> bool:
    """Tell whether pushing ``wanted`` moves a fulfillment forward from ``current`` (None: it has none yet).

    A spelling this version does not know may stand for anything, so nothing moves away from it or towards it.
    """
    if wanted is None or wanted not in _WIX_ORDER:
        return False
    return current is None or (current in _WIX_ORDER and _WIX_ORDER[wanted] > _WIX_ORDER[current])


def needs_review(status: Status) -> bool:
    """Tell whether a person should look, because the parcel ended anywhere but with the consignee."""
    return status in FINAL and status is not Status.DELIVERED


class _Row(NamedTuple):
    decision: Decision
    ask: bool


_NO_ROW: Final = _Row(Decision(), ask=True)


class _Rule:
    """A text rule with its phrases and codes as they are compared."""

    def __init__(self, place: int, rule: TextRule, width: int) -> None:
        self.rule = rule
        self.by = f"text rule {place}"
        self.contains = tuple(phrase.lower() for phrase in rule.contains)
        self.starts_with = tuple(phrase.lower() for phrase in rule.starts_with)
        self.when_code = frozenset(comparable_code(code, width=width) for code in rule.when_code)

    def concerns(self, found: Decision, codes: AbstractSet[str]) -> bool:
        """Tell whether the rule is about what the table found, whatever the text says."""
        if self.when_code and self.when_code.isdisjoint(codes):
            return False
        if self.rule.when_status and found.status not in self.rule.when_status:
            return False
        if found.informational:
            return bool(self.when_code)
        return found.status not in FINAL or bool(self.when_code or self.rule.when_status)

    def fits(self, scan: Scan) -> bool:
        """Tell whether the scan's texts hold one of the rule's phrases."""
        texts = (scan.description, *(scan.extra.get(field, "") for field in self.rule.fields))
        return any(
            text.startswith(self.starts_with) or any(phrase in text for phrase in self.contains)
            for text in (text.strip().lower() for text in texts)
        )

    def refine(self, found: Decision) -> Decision:
        """Give the rule's meaning; a rule that names no status gives a reason alone."""
        if self.rule.info:
            return Decision(reason=self.rule.reason, informational=True, by=self.by)
        if "status" in self.rule.model_fields_set and self.rule.status is not found.status:
            return Decision(self.rule.status, self.rule.reason, by=self.by)
        return Decision(found.status, self.rule.reason or found.reason, found.informational, by=self.by)


class _Meanings:
    """A carrier's tables and rules, made ready to be asked a million times."""

    def __init__(self, carrier: Carrier) -> None:
        self.width = carrier.code_width
        self.rules = [_Rule(place, rule, self.width) for place, rule in enumerate(carrier.status_texts, start=1)]
        fields = dict.fromkeys((*carrier.status_order, "code", *carrier.status_tables))
        self.tables = {
            field: self._table("statuses", carrier.statuses)
            if field == "code"
            else self._table(f"status_tables.{field}", carrier.status_tables.get(field, {}))
            for field in fields
        }
        self.paired = {code.partition("/")[0] for code in self.tables["code"] if "/" in code}

    def _table(self, name: str, rows: Mapping[str, StatusRow]) -> dict[str, _Row]:
        return {
            comparable_code(code, width=self.width): _Row(
                Decision(row.status, row.reason, row.info, by=f'{name}."{code}"'), row.ask
            )
            for code, row in rows.items()
        }

    def row(self, scan: Scan) -> _Row:
        """Give the row of the first table that has one of the scan's codes."""
        for field, table in self.tables.items():
            for key in self._codes(scan) if field == "code" else self._further_codes(scan, field):
                if key in table:
                    return table[key]
        return _NO_ROW

    def refined(self, found: Decision, scan: Scan) -> Decision:
        """Give what the first fitting text rule makes of a row's decision."""
        codes = {comparable_code(code, width=self.width) for code in (scan.code, *scan.extra.values())}
        fitting = (rule for rule in self.rules if rule.concerns(found, codes) and rule.fits(scan))
        rule = next(fitting, None)
        return rule.refine(found) if rule else found

    def _codes(self, scan: Scan) -> Iterable[str]:
        code = comparable_code(scan.code, width=self.width)
        if code in self.paired:
            for field in sorted(scan.extra):
                yield f"{code}/{comparable_code(scan.extra[field], width=self.width)}"
        yield code

    def _further_codes(self, scan: Scan, field: str) -> Iterable[str]:
        if field in scan.extra:
            yield comparable_code(scan.extra[field], width=self.width)


_known: dict[int, _Meanings] = {}


def _meanings(carrier: Carrier) -> _Meanings:
    """Give a carrier's tables, made once for each carrier object: a model of mappings has no hash of its own."""
    known = _known.get(id(carrier))
    if known is None:
        known = _known[id(carrier)] = _Meanings(carrier)
        # Dropped with the carrier, before another object can get its id.
        weakref.finalize(carrier, _known.pop, id(carrier), None)
    return known


_UNDER_WAY: Final = frozenset(status for status, shown in _ON_WIX.items() if shown is WixStatus.IN_DELIVERY)
_GIVES_WAY_TO: Final[Mapping[Status, AbstractSet[Status]]] = {
    Status.DELIVERED: (_UNDER_WAY - {Status.PICKED_UP, Status.IN_TRANSIT}) | {Status.FAILURE, Status.RETURNED},
    Status.RETURN_TO_SENDER: frozenset({Status.DELIVERED, Status.RETURNED, Status.FAILURE}),
    Status.RETURNED: frozenset(),
    Status.FAILURE: _UNDER_WAY | {Status.DELIVERED, Status.RETURNED},
    Status.CANCELLED: _UNDER_WAY | {Status.DELIVERED, Status.RETURNED, Status.FAILURE},
}
_A_RETURN: Final = frozenset({Status.RETURN_TO_SENDER, Status.RETURNED})
_ZONES_APART: Final = timedelta(days=1)


def _place(scan: Scan) -> tuple[object, ...]:
    """Give a scan's place in the order; equal only for scans that cannot change the state differently."""
    return scan.time, RANK[scan.status], scan.key, scan.reason or "", scan.informational, scan.zone_known


def _after(status: Status, giver: Scan | None, scan: Scan) -> Status | None:
    """Give the status after one more scan, or None where the scan moves nothing."""
    if scan.informational or scan.status is Status.UNKNOWN:
        return None
    if giver is None or status not in _GIVES_WAY_TO:
        return scan.status
    if scan.status not in _GIVES_WAY_TO[status]:
        return None
    if status is Status.RETURN_TO_SENDER:
        return Status.RETURNED if scan.status is Status.DELIVERED else scan.status
    return scan.status if scan.status in _A_RETURN or _is_later(scan, giver) else None


def _is_later(scan: Scan, giver: Scan) -> bool:
    margin = timedelta(0) if scan.zone_known and giver.zone_known else _ZONES_APART
    return scan.time - giver.time > margin
