"""``shipments``: what is shipped and how far each shipment is, as people and programs read it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from cli_runs import Shell
from parcelhook import Scan, Status
from parcelhook.ledger import State, moves
from parcelhook.ledger.parcels import Judgement
from shops import LINE, Shop

pytest_plugins = ["stores", "shop_shell"]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_an_empty_ledger(shell: Shell) -> None:
    """Where nothing was shipped, programs get an empty list and people a sentence."""
    assert shell.json("shipments") == []
    assert shell.run("shipments").stdout == "No shipments yet.\n"


def test_a_shipment_is_told_whole(shell: Shell, shop: Shop) -> None:
    """A shipment comes with its order, its number and link, its state, and how far it is here and at Wix."""
    order_id, number = shop.order(), shop.number()
    row = shop.created(order_id, number)

    (told,) = shell.json("shipments")

    assert told == {
        "shipment_id": row.id,
        "store": "main",
        "order_id": order_id,
        "order_number": row.order_number,
        "state": "CREATED",
        "carrier": "ups",
        "fulfillment_id": shop.fulfillments(order_id)[0]["id"],
        "shipping_provider": "ups",
        "tracking_number": number,
        "tracking_url": row.tracking_url,
        "status": row.status.value,
        "wix_status": row.wix_status,
        "error": "",
        "what_to_do": "",
    }


def test_people_get_a_table(shell: Shell, shop: Shop) -> None:
    """The table has a line for each shipment."""
    row = shop.created(shop.order())

    header, line = shell.run("shipments").stdout.splitlines()

    assert header.split()[:3] == ["shipment", "order", "carrier"]
    assert line.split()[0] == row.id
    assert row.tracking_number in line


@pytest.mark.parametrize("word", ["CREATED", "created"])
def test_shipments_of_one_state(shell: Shell, shop: Shop, word: str) -> None:
    """A state, however it is written, leaves out the others."""
    created = shop.created(shop.order())
    shop.take(shop.order())

    assert [each["shipment_id"] for each in shell.json("shipments", "--state", word)] == [created.id]
    assert shell.json("shipments", "--state", "FAILED") == []


def test_the_latest_come_first(shell: Shell, shop: Shop) -> None:
    """With a limit, the latest shipments are shown."""
    rows = [shop.take(order_id) for order_id in shop.orders(3)]

    assert [each["shipment_id"] for each in shell.json("shipments", "--limit", "2")] == [rows[2].id, rows[1].id]


@pytest.mark.parametrize("word", ["SHIPPED", ""])
def test_a_state_that_does_not_exist(shell: Shell, word: str) -> None:
    """A word that is no state ends with exit code 2 and the states there are."""
    error = shell.json("shipments", "--state", word, code=2)["error"]

    assert error["field"] == "--state"
    assert "NEEDS_REVIEW" in error["what_to_do"]


def test_what_is_wrong_with_a_shipment(shell: Shell, shop: Shop) -> None:
    """A shipment that needs a person says why and what to do."""
    row = shop.take(shop.order())
    shop.ledger.shipments.move(moves.needs_review(row, reason="two look alike", what_to_do="Delete one."))

    (told,) = shell.json("shipments", "--state", State.NEEDS_REVIEW)

    assert (told["error"], told["what_to_do"]) == ("two look alike", "Delete one.")
    assert "two look alike" in shell.run("shipments").stdout


def test_one_shipment_with_its_journey(shell: Shell, shop: Shop) -> None:
    """One shipment is shown with its line items, its parcels, and each scan of the carrier's."""
    row = shop.created(shop.order(quantity=2))
    scan = Scan(time=NOON, code="7", description="Out with the courier", location="Portland")
    judgement = Judgement(status=Status.OUT_FOR_DELIVERY, reason=None, next_poll_at=NOON)
    shop.ledger.parcels.record(row.parcels[0].id, [scan], found=True, judge=lambda _: judgement)

    told = shell.json("shipments", "show", row.id)

    assert told["items"] == [{"line_item_id": LINE, "quantity": 2}]
    (parcel,) = told["parcels"]
    assert (parcel["tracking_number"], parcel["status"]) == (row.tracking_number, "out_for_delivery")
    (shown,) = parcel["scans"]
    assert (shown["time"], shown["code"], shown["location"]) == (NOON.isoformat(), "7", "Portland")
    text = shell.run("shipments", "show", row.id).stdout
    assert "2026-03-02 12:00" in text
    assert "Out with the courier" in text


def test_one_shipment_of_which_nothing_is_known(shell: Shell, shop: Shop) -> None:
    """A shipment the carrier has told nothing about is shown as well."""
    row = shop.take(shop.order())

    assert [parcel["scans"] for parcel in shell.json("shipments", "show", row.id)["parcels"]] == [[]]
    assert "The carrier has told nothing yet." in shell.run("shipments", "show", row.id).stdout


def test_what_a_carrier_sends_cannot_drive_the_terminal(shell: Shell, shop: Shop) -> None:
    """A carrier's words are shown without their control characters."""
    row = shop.created(shop.order())
    scan = Scan(time=NOON, code="7", description="\x1b[2Jgone")
    judgement = Judgement(status=Status.UNKNOWN)
    shop.ledger.parcels.record(row.parcels[0].id, [scan], found=True, judge=lambda _: judgement)

    text = shell.run("shipments", "show", row.id).stdout

    assert "\x1b" not in text
    assert r"\x1b[2Jgone" in text


def test_a_shipment_that_does_not_exist(shell: Shell) -> None:
    """An id nobody knows ends with exit code 2."""
    error = shell.json("shipments", "show", "no-such-shipment", code=2)["error"]

    assert "no-such-shipment" in error["message"]


def test_a_store_that_is_not_configured(shell: Shell) -> None:
    """A store nobody configured is no empty list: exit code 2, and the stores there are."""
    error = shell.json("shipments", "--store", "other", code=2)["error"]

    assert (error["field"], error["what_to_do"]) == ("--store", "Configured are: main.")


def test_a_number_is_corrected(shell: Shell, shop: Shop) -> None:
    """The shipment comes back with the right number and link, which Wix shows as well, and fulfill finds it by that."""
    order_id, wrong, right = shop.order(), shop.number(), shop.number()
    row = shop.created(order_id, wrong)

    told = shell.json("shipments", "correct", row.id, "--number", right)
    found = shell.json("fulfill", order_id, "--carrier", "ups", "--number", right)
    other = shell.json("fulfill", order_id, "--carrier", "ups", "--number", wrong, code=2)

    (fulfillment,) = shop.fulfillments(order_id)
    assert (told["shipment_id"], told["tracking_number"], told["changed"]) == (row.id, right, True)
    assert fulfillment["trackingInfo"]["trackingNumber"] == right
    assert (found["fulfillment_id"], found["already_existed"]) == (row.fulfillment_id, True)
    assert (other["state"], other["fulfillment_id"], other["already_existed"]) == ("FAILED", None, False)


def test_people_are_told_what_was_corrected(shell: Shell, shop: Shop) -> None:
    """The number, the link, what Wix keeps, and a number that looks odd are said; the same again changes nothing."""
    row, right = shop.created(shop.order()), shop.number()
    shop.ledger.shipments.note_wix_status(row.id, wix_status="Fulfilled")

    first = shell.run("shipments", "correct", row.id, "--number", right)
    second = shell.run("shipments", "correct", row.id, "--number", right)

    assert f"Shipment {row.id} has the number {right} now, at Wix too." in first.stdout
    assert f"Tracking link: {shop.row(row).tracking_url}" in first.stdout
    assert "At Wix its status is Fulfilled, and stays so" in first.stdout
    assert "does not look like a number of ups" in first.stderr
    assert second.stdout == f"Nothing was changed: {right} is the number of shipment {row.id} already.\n"
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_what_wix_does_not_have_is_sent_with_the_right_number(shell: Shell, shop: Shop) -> None:
    """A shipment that waits is corrected here, and sent at once."""
    row, right = shop.take(shop.order()), shop.number()

    told = shell.json("shipments", "correct", row.id, "--number", right, "--carrier", "evri")

    (fulfillment,) = shop.fulfillments(row.order_id)
    assert (told["state"], told["tracking_number"], told["carrier"]) == ("CREATED", right, "evri")
    assert fulfillment["trackingInfo"]["trackingLink"] == told["tracking_url"]


def test_an_unclear_correction_is_finished_by_the_same_command(shell: Shell, shop: Shop) -> None:
    """Exit code 4 says that it is open, in the shipment too, and the very same command finishes it."""
    row, right = shop.created(shop.order()), shop.number()
    shop.fault("update", effect="untold")

    error = shell.json("shipments", "correct", row.id, "--number", right, code=4)["error"]
    (left,) = shell.json("shipments")
    told = shell.json("shipments", "correct", row.id, "--number", right)

    assert error["type"] == "Undecided"
    assert f"parcelhook shipments correct {row.id} --number {right}" in left["what_to_do"]
    assert (told["tracking_number"], told["changed"], told["error"]) == (right, True, "")


def test_a_command_that_was_killed_is_finished_by_the_same_command(shell: Shell, shop: Shop) -> None:
    """A process that is killed while Wix is asked holds the shipment for a few seconds, which are waited for."""
    row, right = shop.created(shop.order()), shop.number()
    command = ("shipments", "correct", row.id, "--number", right)
    shop.fault("update", delay=60, status=503)
    with shell.process(*command) as process:
        deadline = time.monotonic() + 30
        while not shop.ledger.shipments.get(row.id).error and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    shop.control("DELETE", "faults")
    shop.clock.now = datetime.now(UTC)
    # So that its claim ends sooner than by itself.
    shop.ledger.shipments.extend(str(shop.row(row).claimed_by), [row.id], lease_seconds=0.5)

    result = shell.run(*command)

    assert result.exit_code == 0, result.output
    assert "waiting for it" in result.stderr
    assert shop.fulfillments(row.order_id)[0]["trackingInfo"]["trackingNumber"] == right
    assert shop.row(row).tracking_number == right


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--number", "1Z\u202e99"], "number"),
        (["--number", ""], "number"),
        (["--number", "OK1", "--carrier", "upps"], "carrier"),
        (["--number", "OK1", "--url", "https://evil.example/OK1"], "url"),
    ],
)
def test_a_bad_correction_is_refused(shell: Shell, shop: Shop, options: list[str], field: str) -> None:
    """Numbers with hostile characters, unknown carriers and foreign links end with exit code 2, and nothing is done."""
    row = shop.created(shop.order())
    shop.calls()

    error = shell.json("shipments", "correct", row.id, *options, code=2)["error"]

    assert error["field"] == field
    assert error["what_to_do"] or error["message"]
    assert not shop.calls()
    assert shop.row(row) == row


def test_a_correction_needs_a_number(shell: Shell, shop: Shop) -> None:
    """Without --number the usage is shown."""
    row = shop.created(shop.order())

    assert "--number" in shell.json("shipments", "correct", row.id, code=2)["error"]["message"]


def test_a_shipment_is_deleted(shell: Shell, shop: Shop) -> None:
    """Deleted at Wix and here, without a question where no terminal is; the same again is harmless."""
    row = shop.created(shop.order())

    first = shell.run("shipments", "delete", row.id)
    told = shell.json("shipments", "delete", row.id)

    assert (first.exit_code, first.stdout) == (0, f"Fulfillment {row.fulfillment_id} was deleted.\n")
    assert (told["state"], told["done"]) == ("DELETED", "It was DELETED before.")
    assert shop.fulfillments(row.order_id) == []


@pytest.mark.parametrize("answer", ["n", "y"])
def test_whoever_sits_at_a_terminal_is_asked(shell: Shell, shop: Shop, answer: str) -> None:
    """On a terminal the fulfillment is named and asked about; no leaves everything as it is."""
    row = shop.created(shop.order())

    code, shown = at_terminal(shell, "shipments", "delete", row.id, answer=answer)

    assert f"Delete fulfillment {row.fulfillment_id}" in shown
    assert (code, len(shop.fulfillments(row.order_id))) == ((0, 0) if answer == "y" else (130, 1))
    assert ("Nothing was deleted." in shown) == (answer == "n")


def test_whoever_is_sure_is_not_asked(shell: Shell, shop: Shop) -> None:
    """With --yes there is no question on a terminal either."""
    row = shop.created(shop.order())

    code, shown = at_terminal(shell, "shipments", "delete", row.id, "--yes", answer="")

    assert (code, shop.row(row).state) == (0, State.DELETED)
    assert "[y/N]" not in shown


def at_terminal(shell: Shell, *arguments: str, answer: str) -> tuple[int, str]:
    """Run a command on a terminal, type an answer, and give its exit code and what was shown."""
    ours, its = os.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        process = subprocess.Popen(
            [sys.executable, "-m", "parcelhook", *arguments],
            cwd=shell.folder,
            env=shell.environment(),
            stdin=its,
            stdout=its,
            stderr=its,
        )
        code = process.wait(30)
        return code, os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize("arguments", [["correct", "--number", "OK1"], ["delete"]], ids=["correct", "delete"])
def test_an_id_of_no_shipment_or_of_another_store(shell: Shell, shop: Shop, arguments: list[str]) -> None:
    """An unknown id, and one of a store that is not meant, end with exit code 2, and nothing is done."""
    row = shop.created(shop.order())
    ready = {name: str(value) for name, value in shop.sandbox.ready.items()}
    other = {"WIX_URL": shop.sandbox.url, "APP_ID": ready["app_id"], "APP_SECRET": ready["app_secret"]}
    other["INSTANCE_ID"] = str(uuid4())
    named = {f"PARCELHOOK_STORES__OTHER__{name}": value for name, value in other.items()}
    two = replace(shell, variables={**shell.variables, **named})

    command, *options = arguments
    for shown, id_ in ((shell, "no-such"), (shell, "\x1b[2J"), (two, "no-such")):
        result = shown.run("shipments", command, id_, *options)
        assert result.exit_code == 2
        assert "no shipment has the id" in result.stderr
        assert "\x1b" not in result.output
    elsewhere = two.run("--store", "other", "shipments", command, row.id, *options)

    assert elsewhere.exit_code == 2
    assert "no shipment has the id" in elsewhere.stderr
    assert shop.row(row) == row
    assert two.run("shipments", command, row.id, *options).exit_code == 0


def test_one_that_another_process_holds_is_waited_for(shell: Shell, shop: Shop) -> None:
    """A claim that ends in a moment is waited for; one that is extended is not decided here."""
    row = shop.created(shop.order())
    shop.clock.now = datetime.now(UTC)
    shop.ledger.shipments.claim("main", states={State.CREATED}, owner="other", lease_seconds=1, ids=[row.id])

    result = shell.run("shipments", "delete", row.id)

    assert (result.exit_code, shop.row(row).state) == (0, State.DELETED)
    assert "waiting for it" in result.stderr
    assert datetime.now(UTC) - shop.clock.now >= timedelta(seconds=1)
