"""A parcel's state is the same in whatever order, and however often, its scans arrive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelhook.models import Reason, Scan, Status
from parcelhook.statuses import (
    FINAL,
    RANK,
    ParcelState,
    WixStatus,
    fold,
    forward,
    shipment_status,
    wix_status,
)

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
WIX = list(WixStatus)


def at(hour: float, status: str, **data: object) -> Scan:
    """Make a scan so many hours after the start, of a status."""
    event = {"code": status, "time": START + timedelta(hours=hour), "status": status, **data}
    return Scan.model_validate(event)


def journey(*statuses: str) -> list[Scan]:
    """Make a scan an hour for each status."""
    return [at(hour, status) for hour, status in enumerate(statuses)]


# Few hours, codes and places, so that equal times, equal keys and repetitions are common.
scans = st.builds(
    Scan,
    code=st.sampled_from(["A", "B"]),
    description=st.sampled_from(["", "|", "x"]),
    time=st.builds(
        lambda hour, offset: (START + timedelta(hours=hour)).astimezone(timezone(timedelta(hours=offset))),
        st.integers(0, 60),
        st.sampled_from([0, 0, 5]),
    ),
    zone_known=st.booleans(),
    status=st.sampled_from(Status),
    reason=st.none() | st.sampled_from([Reason.DELAY, Reason.REFUSED]),
    informational=st.sampled_from([False, False, True]),
)
histories = st.lists(scans, max_size=9)


def visible(state: ParcelState) -> tuple[object, ...]:
    """Give what of a state may never depend on scans that say nothing."""
    return state.status, state.reason, state.at, state.delivered_at


def test_no_scans_say_nothing() -> None:
    """An empty history is unknown and has no times."""
    assert fold([]) == ParcelState()


def test_the_newest_scan_gives_the_status() -> None:
    """Its reason and time come with it."""
    state = fold([at(0, "picked_up"), at(2, "exception", reason="customs"), at(1, "in_transit")])

    assert state == ParcelState(
        status=Status.EXCEPTION,
        reason=Reason.CUSTOMS,
        at=START + timedelta(hours=2),
        last_scan_at=START + timedelta(hours=2),
    )


def test_a_parcel_may_go_back_a_step_before_its_end() -> None:
    """After a failed attempt it is in transit again: only Wix's side never moves backwards."""
    assert fold(journey("out_for_delivery", "attempt_failed", "in_transit")).status is Status.IN_TRANSIT


def test_of_scans_of_one_instant_the_one_further_along_counts() -> None:
    """Carriers stamp several events of one stop alike."""
    assert fold([at(1, "out_for_delivery"), at(1, "in_transit")]).status is Status.OUT_FOR_DELIVERY
    assert fold([at(1, "delivered"), at(1, "out_for_delivery")]).status is Status.DELIVERED
    assert fold([at(1, "exception"), at(1, "in_transit")]).status is Status.EXCEPTION


def test_times_are_compared_as_instants() -> None:
    """An offset changes how a time is written, not when it was."""
    earlier = datetime(2026, 3, 2, 14, tzinfo=timezone(timedelta(hours=5)))
    state = fold([at(0, "out_for_delivery"), Scan(code="x", time=earlier, status=Status.IN_TRANSIT)])

    assert state.status is Status.OUT_FOR_DELIVERY


def test_scans_that_say_nothing_only_show_that_there_was_a_scan() -> None:
    """Unknown and informational scans move the time of the last scan and nothing else."""
    state = fold([at(0, "in_transit"), at(1, "unknown"), at(2, "delivered", informational=True)])

    assert (state.status, state.at, state.last_scan_at) == (Status.IN_TRANSIT, START, START + timedelta(hours=2))
    assert fold([at(1, "unknown")]) == ParcelState(last_scan_at=START + timedelta(hours=1))


def test_a_delivery_is_dated_by_its_first_scan() -> None:
    """Later confirmations and the carrier's summary do not move it."""
    state = fold([at(0, "in_transit"), at(1, "delivered"), at(5, "delivered")])

    assert state.delivered_at == state.at == START + timedelta(hours=1)
    assert state.last_scan_at == START + timedelta(hours=5)


@pytest.mark.parametrize("straggler", ["pre_transit", "picked_up", "in_transit", "cancelled", "unknown"])
def test_a_straggler_does_not_undo_a_delivery(straggler: str) -> None:
    """A movement scan that is dated after the delivery was only reported late."""
    state = fold(journey("delivered", straggler))

    assert (state.status, state.delivered_at) == (Status.DELIVERED, START)


@pytest.mark.parametrize(
    "correction", ["out_for_delivery", "attempt_failed", "available_for_pickup", "exception", "failure"]
)
def test_a_correction_undoes_a_delivery(correction: str) -> None:
    """What cannot be true of a delivered parcel takes the delivery back if it is strictly later."""
    state = fold(journey("delivered", correction))

    assert (state.status, state.delivered_at) == (correction, None)
    assert fold(journey(correction, "delivered")).status is Status.DELIVERED


def test_scans_of_one_instant_correct_nothing() -> None:
    """At the same time a delivery stands against all but a failure, which only a later delivery overcomes."""
    for correction in ("out_for_delivery", "attempt_failed", "available_for_pickup", "exception"):
        assert fold([at(0, "delivered"), at(0, correction)]).status is Status.DELIVERED
    assert fold([at(0, "delivered"), at(0, "failure")]).status is Status.FAILURE


def test_a_corrected_delivery_can_happen_again() -> None:
    """The second delivery counts, with its own time."""
    state = fold(journey("delivered", "attempt_failed", "in_transit", "delivered"))

    assert (state.status, state.delivered_at) == (Status.DELIVERED, START + timedelta(hours=3))


def test_a_clock_without_zone_corrects_only_after_a_day() -> None:
    """Where a zone is not known, up to a day says nothing about which scan came first."""
    for unzoned in ({"first": False, "second": True}, {"first": True, "second": False}):
        delivered = at(0, "delivered", zone_known=unzoned["first"])

        assert fold([delivered, at(24, "attempt_failed", zone_known=unzoned["second"])]).status is Status.DELIVERED
        assert fold([delivered, at(25, "attempt_failed", zone_known=unzoned["second"])]).status is Status.ATTEMPT_FAILED


@pytest.mark.parametrize("back", ["return_to_sender", "returned"])
def test_a_return_undoes_a_delivery(back: str) -> None:
    """A parcel that comes back after its delivery is no longer delivered, even if the clocks are uncertain."""
    state = fold([at(0, "delivered"), at(1, back, zone_known=False)])

    assert (state.status, state.delivered_at) == (back, None)


def test_the_way_back_stays_visible() -> None:
    """Movement on the way back does not hide the return, nor the reason and time it began."""
    state = fold(
        [
            at(0, "return_to_sender", reason="refused"),
            *[at(hour, status) for hour, status in enumerate(["in_transit", "exception", "out_for_delivery"], 1)],
        ]
    )

    assert (state.status, state.reason, state.at) == (Status.RETURN_TO_SENDER, Reason.REFUSED, START)


def test_a_delivery_at_the_end_of_the_way_back_is_no_delivery() -> None:
    """Carriers call it delivered, but the consignee has nothing: a person must look."""
    state = fold(journey("out_for_delivery", "return_to_sender", "in_transit", "delivered"))

    assert (state.status, state.delivered_at) == (Status.RETURNED, None)
    assert fold([at(0, "return_to_sender"), at(0, "delivered")]).status is Status.RETURNED
    assert fold(journey("return_to_sender", "returned")).status is Status.RETURNED
    assert fold(journey("return_to_sender", "failure")).status is Status.FAILURE
    assert fold(journey("return_to_sender", "cancelled")).status is Status.RETURN_TO_SENDER


@pytest.mark.parametrize("end", ["failure", "cancelled"])
def test_a_parcel_found_again_goes_on(end: str) -> None:
    """A lost or cancelled parcel that is scanned later is on its way; a label event or an equal time is not enough."""
    for later in ("picked_up", "in_transit", "out_for_delivery", "delivered", "return_to_sender", "returned"):
        assert fold(journey(end, later)).status == later
    assert fold(journey(end, "pre_transit")).status == end
    assert fold([at(0, end), at(0, "delivered")]).status == end
    assert fold(journey("cancelled", "failure")).status is Status.FAILURE
    assert fold(journey("failure", "cancelled")).status is Status.FAILURE


@given(history=histories, data=st.data())
def test_order_and_repetition_of_scans_cannot_matter(history: list[Scan], data: st.DataObject) -> None:
    """Any permutation with any repetitions folds to the same state."""
    again = data.draw(st.lists(st.sampled_from(history), max_size=5)) if history else []
    shuffled = data.draw(st.permutations([*history, *again]))

    assert fold(shuffled) == fold(history)


@given(history=histories, noise=st.lists(scans, max_size=4))
def test_noise_never_changes_a_state(history: list[Scan], noise: list[Scan]) -> None:
    """Unknown and informational scans, whenever they happened, change nothing but the time of the last scan."""
    silent = [
        event.model_copy(update={"informational": True} if place % 2 else {"status": Status.UNKNOWN})
        for place, event in enumerate(noise)
    ]

    assert visible(fold([*silent, *history])) == visible(fold(history))


@given(history=histories, later=histories)
def test_returned_is_the_end(history: list[Scan], later: list[Scan]) -> None:
    """Once a parcel is returned, nothing that happens afterwards makes it anything else."""
    state = fold(history)
    if state.status is not Status.RETURNED:
        return
    afterwards = [event.model_copy(update={"time": event.time + timedelta(hours=61)}) for event in later]

    assert visible(fold([*history, *afterwards])) == visible(state)


@given(history=histories)
def test_a_delivered_parcel_has_a_delivery_and_no_return_before_it(history: list[Scan]) -> None:
    """Delivered is never concluded: a scan says it, and no return came first."""
    state = fold(history)
    if state.status is not Status.DELIVERED:
        assert state.delivered_at is None
        return

    telling = [event for event in history if not event.informational]
    assert any(event.status is Status.DELIVERED and event.time == state.delivered_at for event in telling)
    assert not any(event.status is Status.RETURNED for event in telling)


@given(history=histories)
def test_the_times_of_a_state_are_those_of_scans(history: list[Scan]) -> None:
    """The last scan is the newest one, and the status is never newer than it."""
    state = fold(history)

    assert state.last_scan_at == max((event.time for event in history), default=None)
    if state.at is not None and state.last_scan_at is not None:
        assert state.at <= state.last_scan_at
        assert state.at in {event.time for event in history}


@given(history=histories, cuts=st.lists(st.integers(0, 9), max_size=4))
def test_what_wix_is_told_never_goes_backwards(history: list[Scan], cuts: list[int]) -> None:
    """However scans trickle in, in whatever order, each push is further along than the one before."""
    pushes: list[str] = []
    for cut in [*sorted(cuts), len(history)]:
        wanted = wix_status(fold(history[:cut]).status)
        if wanted is not None and forward(pushes[-1] if pushes else None, wanted):
            pushes.append(wanted)

    places = [WIX.index(WixStatus(push)) for push in pushes]
    assert places == sorted(set(places))


def states(*statuses: str) -> Iterable[ParcelState]:
    """Make the states of several parcels."""
    return [ParcelState(status=Status(status)) for status in statuses]


@pytest.mark.parametrize(
    ("parcels", "shown"),
    [
        ((), "unknown"),
        (("delivered",), "delivered"),
        (("delivered", "delivered"), "delivered"),
        (("delivered", "in_transit"), "in_transit"),
        (("in_transit", "pre_transit", "out_for_delivery"), "pre_transit"),
        (("delivered", "unknown"), "unknown"),
        (("delivered", "returned"), "returned"),
        (("failure", "delivered"), "failure"),
        (("cancelled", "delivered"), "cancelled"),
        (("return_to_sender", "delivered"), "return_to_sender"),
        (("exception", "out_for_delivery"), "exception"),
    ],
)
def test_a_shipment_shows_its_slowest_parcel(parcels: tuple[str, ...], shown: str) -> None:
    """It is delivered only when all of it is."""
    assert shipment_status(states(*parcels)) == shown


def test_every_status_has_a_rank_of_its_own() -> None:
    """The order is complete, begins with unknown and ends with the final statuses, delivered last."""
    assert sorted(RANK, key=RANK.__getitem__)[-4:] == ["cancelled", "failure", "returned", "delivered"]
    assert set(RANK) == set(Status)
    assert len(set(RANK.values())) == len(Status)
    assert min(RANK, key=RANK.__getitem__) is Status.UNKNOWN
    assert {"delivered", "returned", "failure", "cancelled"} == FINAL
