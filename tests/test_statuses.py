"""A scan's meaning comes from its carrier's tables, text rules and hook, and is never guessed."""

from __future__ import annotations

import gc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from parcelhook import statuses
from parcelhook.carrier import Carrier, comparable_code
from parcelhook.models import Reason, Scan, Status, StatusChange, TrackingReport
from parcelhook.statuses import Decision, WixStatus, all_scans, decide, forward, mapped, needs_review, wix_status

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def acme(**data: object) -> Carrier:
    """Make a carrier with the tables a test is about."""
    return Carrier.model_validate({"id": "acme", "name": "Acme", **data})


def scan(code: str, description: str = "", **extra: str) -> Scan:
    """Make a scan as a plug-in parses it: raw codes, no status."""
    return Scan(code=code, description=description, time=NOON, extra=extra)


def test_a_row_gives_status_and_reason_and_is_named() -> None:
    """The decision says which row it comes from, as the carrier's file spells it."""
    carrier = acme(statuses={"31": {"status": "exception", "reason": "address"}, "40": "delivered"})

    assert decide(carrier, scan("31")) == Decision(Status.EXCEPTION, Reason.ADDRESS, by='statuses."31"')
    assert decide(carrier, scan("40")) == Decision(Status.DELIVERED, by='statuses."40"')


def test_an_unmapped_code_is_unknown() -> None:
    """Without row, rule and hook nothing decides, not even where the text says delivered."""
    carrier = acme(statuses={"40": "delivered"}, code_width=2)

    assert decide(carrier, scan("41", "Delivered")) == Decision()
    assert decide(carrier, scan("")) == Decision()
    assert decide(acme(), scan("40")) == Decision()


def test_an_informational_row_is_known_and_says_nothing() -> None:
    """An info row decides that the scan moves no status, unlike a code that nobody knows."""
    decision = decide(acme(statuses={"25": "info"}), scan("25"))

    assert decision == Decision(informational=True, by='statuses."25"')


@pytest.mark.parametrize("code", ["174", "0174", " 174 ", "\t0174\n"])
def test_numeric_codes_are_compared_with_their_zeros(code: str) -> None:
    """Carriers send one code with and without leading zeros and blanks."""
    for key in ("174", "0174"):
        assert decide(acme(statuses={key: "in_transit"}, code_width=4), scan(code)).status is Status.IN_TRANSIT


def test_codes_are_compared_in_upper_case_and_without_a_width_as_they_are() -> None:
    """Letters ignore case; 07 and 7 are two codes unless the carrier gives a width."""
    carrier = acme(statuses={"dl": "delivered", "07": "exception"})

    assert decide(carrier, scan("Dl")).status is Status.DELIVERED
    assert decide(carrier, scan("7")).by == ""


def test_only_ascii_numbers_are_padded() -> None:
    """Other scripts' digits and mixed codes are left alone; parts of a pair are treated one by one."""
    assert comparable_code("7", width=3) == "007"
    assert comparable_code("1234", width=3) == "1234"
    assert comparable_code("A7", width=3) == "A7"
    assert comparable_code("\u0667", width=3) == "\u0667"
    assert comparable_code("d/7", width=3) == "D/007"
    assert comparable_code("", width=3) == ""


def test_a_code_with_a_further_code_goes_before_the_code_alone() -> None:
    """A pair decides whichever extra field holds its second half; without it the plain code does."""
    carrier = acme(statuses={"D/011": "delivered", "D/021": "out_for_delivery", "D": "info"}, code_width=3)

    assert decide(carrier, scan("d", detail="11")) == Decision(Status.DELIVERED, by='statuses."D/011"')
    assert decide(carrier, scan("D", type="X", detail="021")).status is Status.OUT_FOR_DELIVERY
    assert decide(carrier, scan("D", detail="999")).informational
    assert decide(carrier, scan("E", detail="011")).by == ""


def test_two_pairs_are_tried_in_the_order_of_their_fields() -> None:
    """The order in which a plug-in fills in the extra fields cannot matter."""
    carrier = acme(statuses={"D/1": "delivered", "D/2": "in_transit"})

    assert decide(carrier, scan("D", a="2", b="1")) == decide(carrier, scan("D", b="1", a="2"))
    assert decide(carrier, scan("D", a="2", b="1")).status is Status.IN_TRANSIT


def test_a_code_may_hold_a_slash_itself() -> None:
    """A key that the carrier sends as one code is found as one code."""
    assert decide(acme(statuses={"A/B": "delivered"}), scan("a/b")).status is Status.DELIVERED


def test_tables_are_asked_in_the_carriers_order() -> None:
    """The first table that has its code wins; those the order leaves out come last."""
    tables = {"category": {"Moving": "in_transit"}, "type": {"D": "delivered"}}
    rows = {"10": "picked_up"}
    both = scan("10", category=" moving ", type="d")

    assert decide(acme(statuses=rows, status_tables=tables), both).by == 'statuses."10"'
    ordered = acme(statuses=rows, status_tables=tables, status_order=["type", "code"])
    assert decide(ordered, both) == Decision(Status.DELIVERED, by='status_tables.type."D"')
    assert decide(ordered, scan("10", category="Moving")).by == 'statuses."10"'
    assert decide(ordered, scan("99", category="Moving")).by == 'status_tables.category."Moving"'
    assert decide(ordered, scan("99", other="D")).by == ""


def test_an_order_may_name_a_table_that_has_no_rows() -> None:
    """A field without a table decides nothing."""
    assert decide(acme(status_order=["type"], statuses={"1": "delivered"}), scan("1", type="1")).by == 'statuses."1"'


def test_the_first_fitting_text_rule_refines_a_row() -> None:
    """Texts are compared in lower case, trimmed; the decision names the rule."""
    carrier = acme(
        statuses={"transit": "in_transit"},
        status_texts=[
            {"starts_with": ["Out for"], "status": "out_for_delivery"},
            {"contains": ["customs", "zoll"], "status": "exception", "reason": "customs"},
            {"contains": ["for"], "status": "exception"},
        ],
    )

    assert decide(carrier, scan("transit", "  OUT FOR delivery ")) == Decision(
        Status.OUT_FOR_DELIVERY, by="text rule 1"
    )
    assert decide(carrier, scan("transit", "Held: ZOLL")) == Decision(
        Status.EXCEPTION, Reason.CUSTOMS, by="text rule 2"
    )
    assert decide(carrier, scan("transit", "not Out for delivery")).by == "text rule 3"
    assert decide(carrier, scan("transit", "Sorted")).by == 'statuses."transit"'


def test_a_text_rule_reads_the_extra_fields_it_names() -> None:
    """Only the description and the named fields are searched."""
    rule = {"contains": ["locker"], "fields": ["remark"], "status": "available_for_pickup"}
    carrier = acme(statuses={"1": "in_transit"}, status_texts=[rule])

    assert decide(carrier, scan("1", remark="In the Locker")).status is Status.AVAILABLE_FOR_PICKUP
    assert decide(carrier, scan("1", place="In the locker")).status is Status.IN_TRANSIT


def test_a_text_rule_can_be_limited_to_statuses_and_codes() -> None:
    """An unmapped code counts as unknown, and a code may stand in any field."""
    carrier = acme(
        code_width=2,
        statuses={"01": "in_transit", "02": "exception"},
        status_texts=[
            {"contains": ["x"], "when_status": ["unknown"], "status": "picked_up"},
            {"contains": ["x"], "when_code": ["2", "q"], "status": "attempt_failed"},
        ],
    )

    assert decide(carrier, scan("77", "x")).status is Status.PICKED_UP
    assert decide(carrier, scan("1", "x")).status is Status.IN_TRANSIT
    assert decide(carrier, scan("02", "x")).status is Status.ATTEMPT_FAILED
    assert decide(carrier, scan("1", "x", detail="Q")).status is Status.ATTEMPT_FAILED


@pytest.mark.parametrize("final", ["delivered", "returned", "failure", "cancelled"])
def test_a_final_row_is_refined_only_by_a_rule_that_names_it(final: str) -> None:
    """A word in a text does not take a delivery back, unless the carrier's rule says that it does."""
    loose = {"contains": ["return"], "status": "return_to_sender"}

    def status(**limit: list[str]) -> str:
        rules = [{**loose, **limit}]
        return decide(acme(statuses={"40": final}, status_texts=rules), scan("40", "Returned")).status

    assert status() == final
    assert status(when_status=["in_transit"]) == final
    assert status(when_status=["in_transit", final]) == "return_to_sender"
    assert status(when_code=["40"]) == "return_to_sender"


def test_an_info_row_is_refined_only_by_a_rule_that_names_its_code() -> None:
    """An informational code stays so whatever its text says, unless a rule is about that code."""
    rule = {"contains": ["delivery"], "when_status": ["unknown"], "status": "out_for_delivery"}
    named = {"contains": ["delivery"], "when_code": ["25"], "status": "out_for_delivery"}

    assert decide(acme(statuses={"25": "info"}, status_texts=[rule]), scan("25", "delivery")).informational
    assert decide(acme(statuses={"25": "info"}, status_texts=[named]), scan("25", "delivery")) == Decision(
        Status.OUT_FOR_DELIVERY, by="text rule 1"
    )


def test_a_text_rule_may_give_a_reason_alone_or_make_a_scan_informational() -> None:
    """Without a status of its own a rule keeps the row's; a new status does not keep the old reason."""
    carrier = acme(
        statuses={"07": {"status": "attempt_failed", "reason": "refused"}, "25": "info"},
        status_texts=[
            {"contains": ["closed"], "reason": "recipient_absent"},
            {"contains": ["updated"], "info": True},
            {"contains": ["depot"], "status": "in_transit"},
            {"contains": ["again"], "status": "attempt_failed"},
            {"contains": ["late"], "when_code": ["25"], "reason": "delay"},
        ],
    )

    assert decide(carrier, scan("07", "closed")) == Decision(
        Status.ATTEMPT_FAILED, Reason.RECIPIENT_ABSENT, by="text rule 1"
    )
    assert decide(carrier, scan("07", "updated")) == Decision(informational=True, by="text rule 2")
    assert decide(carrier, scan("07", "depot")) == Decision(Status.IN_TRANSIT, by="text rule 3")
    assert decide(carrier, scan("07", "again")) == Decision(Status.ATTEMPT_FAILED, Reason.REFUSED, by="text rule 4")
    assert decide(carrier, scan("25", "late")) == Decision(reason=Reason.DELAY, informational=True, by="text rule 5")


def test_a_rule_without_phrases_fits_nothing() -> None:
    """A rule reads texts; without a phrase it has nothing to read."""
    carrier = acme(statuses={"1": "in_transit"}, status_texts=[{"when_code": ["1"], "status": "delivered"}])

    assert decide(carrier, scan("1", "text")).status is Status.IN_TRANSIT


def test_the_hook_is_asked_for_missing_rows_and_rows_that_ask() -> None:
    """Its answer goes before row and rule; None leaves what was found; other rows never reach it."""
    asked: list[str] = []

    def lockers(event: Scan) -> StatusChange | None:
        asked.append(event.code)
        if event.extra.get("place") == "locker":
            return StatusChange(status=Status.AVAILABLE_FOR_PICKUP, reason=Reason.HOLD)
        return None

    carrier = acme(
        statuses={
            "10": "in_transit",
            "30": {"status": "exception", "ask": True},
            "31": {"status": "info", "ask": True},
        },
        status_texts=[{"contains": ["refused"], "status": "exception", "reason": "refused"}],
    )
    answer = Decision(Status.AVAILABLE_FOR_PICKUP, Reason.HOLD, by="parcelhook_map_status")

    assert decide(carrier, scan("10", place="locker"), ask=lockers).status is Status.IN_TRANSIT
    assert asked == []
    assert decide(carrier, scan("30", "refused", place="locker"), ask=lockers) == answer
    assert decide(carrier, scan("99", place="locker"), ask=lockers) == answer
    assert decide(carrier, scan("31", place="locker"), ask=lockers) == answer
    assert decide(carrier, scan("30"), ask=lockers) == Decision(Status.EXCEPTION, by='statuses."30"')
    assert decide(carrier, scan("31"), ask=lockers).informational
    assert decide(carrier, scan("30", "refused"), ask=lockers).by == "text rule 1"
    assert decide(carrier, scan("99"), ask=lockers) == Decision()
    assert asked == ["30", "99", "31", "30", "31", "30", "99"]


def test_what_a_plug_in_wrote_itself_stands_where_nothing_else_decides() -> None:
    """A plug-in may fill in the status; the carrier's data goes before it."""
    carrier = acme(statuses={"10": "in_transit"})
    written = Scan(code="x", time=NOON, status=Status.DELIVERED, reason=Reason.OTHER)
    shown = Scan(code="x", time=NOON, informational=True)

    assert decide(carrier, written) == Decision(Status.DELIVERED, Reason.OTHER, by="the plug-in's parsing")
    assert decide(carrier, shown) == Decision(informational=True, by="the plug-in's parsing")
    assert decide(carrier, written.model_copy(update={"code": "10"})).status is Status.IN_TRANSIT


def test_a_mapped_scan_holds_the_decision_and_all_it_held_before() -> None:
    """Only status, reason and the informational mark change, and mapping twice changes nothing more."""
    carrier = acme(statuses={"31": {"status": "exception", "reason": "address"}, "25": "info"})
    raw = scan("31", "Wrong street", place="depot")

    once = mapped(carrier, raw)
    assert once == raw.model_copy(update={"status": Status.EXCEPTION, "reason": Reason.ADDRESS})
    assert mapped(carrier, once) == once
    assert mapped(carrier, scan("25")).informational
    assert mapped(carrier, scan("99")) == scan("99")
    assert mapped(carrier, scan("99"), ask=lambda _: StatusChange(status=Status.PICKED_UP)).status is Status.PICKED_UP


def test_equal_carriers_with_other_tables_do_not_share_them() -> None:
    """Tables belong to the carrier object: another object of the same id has its own, and they go when it goes."""
    before = len(statuses._known)
    first, second = acme(statuses={"1": "in_transit"}), acme(statuses={"1": "delivered"})

    assert decide(first, scan("1")).status is Status.IN_TRANSIT
    assert decide(second, scan("1")).status is Status.DELIVERED
    del first, second
    gc.collect()
    assert len(statuses._known) <= before


texts = st.text(max_size=20)
fitted = acme(
    code_width=3,
    statuses={"D/011": "delivered", "40": "delivered", "D": "info"},
    status_tables={"type": {"I": "in_transit"}},
    status_order=("type", "code"),
    status_texts=[{"contains": ["ß", "i̇"], "starts_with": ["a"], "fields": ["type"], "status": "exception"}],
)


@given(code=texts, description=texts, extra=st.dictionaries(texts | st.just("type"), texts, max_size=3))
def test_any_text_can_be_decided(code: str, description: str, extra: dict[str, str]) -> None:
    """Whatever a carrier sends gives a decision, and only a table's code gives delivered."""
    event = Scan(code=code, description=description, time=NOON, extra=extra)
    decision = decide(fitted, event)

    assert (decision.status, decision.informational) == (
        mapped(fitted, event).status,
        mapped(fitted, event).informational,
    )
    if not decision.by:
        assert decision == Decision()
    if decision.status is Status.DELIVERED:
        assert comparable_code(code, width=3) in {"040", "D", "D/011"}


@pytest.mark.parametrize(
    "data",
    [
        {"statuses": {"10": "in_transit", " 10": "delivered"}},
        {"statuses": {"dl": "in_transit", "DL": "delivered"}},
        {"statuses": {"20": "in_transit", "0020": "delivered"}, "code_width": 4},
        {"statuses": {"D/1": "in_transit", "D/01": "delivered"}, "code_width": 2},
        {"status_tables": {"type": {"i": "in_transit", "I": "delivered"}}},
    ],
)
def test_a_code_with_two_meanings_is_refused_when_the_carrier_is_loaded(data: dict[str, object]) -> None:
    """Two spellings that compare equal must have one meaning."""
    with pytest.raises(ValidationError, match="two meanings"):
        acme(**data)


def test_a_summary_counts_as_one_more_scan() -> None:
    """A report's scans are its own and, where there is one, the carrier's summary."""
    first, summary = scan("1"), scan("2")

    assert all_scans(TrackingReport(number="1", scans=(first,))) == (first,)
    assert all_scans(TrackingReport(number="1", scans=(first,), summary=summary)) == (first, summary)
    assert all_scans(TrackingReport(number="1", found=False)) == ()


@pytest.mark.parametrize(
    ("status", "on_wix", "review"),
    [
        ("unknown", None, False),
        ("pre_transit", "Ready", False),
        ("picked_up", "In_Delivery", False),
        ("in_transit", "In_Delivery", False),
        ("out_for_delivery", "In_Delivery", False),
        ("attempt_failed", "In_Delivery", False),
        ("available_for_pickup", "In_Delivery", False),
        ("exception", "In_Delivery", False),
        ("return_to_sender", "In_Delivery", False),
        ("delivered", "Fulfilled", False),
        ("returned", None, True),
        ("failure", None, True),
        ("cancelled", None, True),
    ],
)
def test_each_status_is_pushed_to_wix_or_reviewed(status: str, on_wix: str | None, review: bool) -> None:  # noqa: FBT001 - a column of the table
    """The spelling is Wix's own, which takes no other."""
    assert wix_status(Status(status)) == on_wix
    assert needs_review(Status(status)) is review


def test_a_push_only_moves_forward() -> None:
    """Of all pairs of Wix's five statuses, only those in its order are pushed."""
    names = ["Pending", "Accepted", "Ready", "In_Delivery", "Fulfilled"]
    pushed = {(current, wanted) for current in names for wanted in names if forward(current, wanted)}

    assert [status.value for status in WixStatus] == names
    assert pushed == {(names[i], names[j]) for i in range(5) for j in range(5) if j > i}


def test_a_fulfillment_without_status_takes_any() -> None:
    """Nothing was told yet, so anything is forward, and nothing to push stays nothing."""
    assert all(forward(None, status) for status in WixStatus)
    assert forward(None, None) is False
    assert not forward("Pending", None)


@pytest.mark.parametrize("strange", ["", "pending", "FULFILLED", "Returned"])
def test_an_unknown_spelling_is_left_alone(strange: str) -> None:
    """What a newer Wix or a merchant's app wrote is never overwritten, and nothing unknown is sent."""
    assert forward(strange, "Fulfilled") is False
    assert not forward("Pending", strange)
    assert not forward(None, strange)
