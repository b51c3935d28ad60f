"""``review``: what waits for a person, since when and why, and each way out as a command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli_runs import Shell
from parcelhook.ledger import ShipmentRow, State, moves
from shops import Shop

pytest_plugins = ["stores", "shop_shell"]


def canceled_after(shop: Shop) -> ShipmentRow:
    """Give a shipment whose order was canceled after its fulfillment."""
    row = shop.created(shop.order())
    shop.cancel(row.order_id)
    shop.follow()
    return shop.row(row)


def asked_before(shop: Shop) -> ShipmentRow:
    """Give a shipment that a person was asked about before anything was sent."""
    return shop.ledger.shipments.move(moves.needs_review(shop.take(shop.order()), reason="no \x1b[2Jlink"))


def test_nothing_waits(shell: Shell) -> None:
    """Where nobody is asked anything, programs get an empty list and people a sentence."""
    assert shell.json("review", "list") == []
    assert shell.run("review", "list").stdout == "Nothing waits for a person.\n"


def test_a_review_is_told_whole(shell: Shell, shop: Shop) -> None:
    """Programs get the shipment, since when, why, and each way out as a command."""
    row = canceled_after(shop)

    (told,) = shell.json("review", "list")

    assert (told["shipment_id"], told["state"]) == (row.id, "NEEDS_REVIEW")
    assert told["since"] == row.updated_at.isoformat()
    assert told["why"] == "the order was canceled after its fulfillment"
    assert [way["command"] for way in told["ways_out"]] == [
        f"parcelhook review resolve {row.id} --keep",
        f"parcelhook review resolve {row.id} --delete",
    ]
    assert all(way["meaning"] for way in told["ways_out"])


def test_people_copy_the_commands(shell: Shell, shop: Shop) -> None:
    """The table has a line for each review, and below it stand the commands; nothing drives the terminal."""
    rows = [canceled_after(shop), asked_before(shop)]

    text = shell.run("review", "list").stdout

    assert text.splitlines()[0].split()[:2] == ["shipment", "order"]
    assert f"  parcelhook review resolve {rows[0].id} --keep" in text
    assert f"  parcelhook review resolve {rows[1].id} --again" in text
    assert r"no \x1b[2Jlink" in text
    assert "\x1b" not in text


def test_what_is_offered_works(shell: Shell, shop: Shop) -> None:
    """The commands of the list are those that can be run."""
    rows = {row.id: row for row in (canceled_after(shop), canceled_after(shop), asked_before(shop), asked_before(shop))}
    wanted = dict(zip(rows, ("keep", "delete", "again", "drop"), strict=True))
    commands = {way["command"] for each in shell.json("review", "list") for way in each["ways_out"]}

    for id_, way in wanted.items():
        command = f"parcelhook review resolve {id_} --{way}"
        assert command in commands
        assert shell.run(*command.split()[1:]).exit_code == 0

    states = {wanted[id_]: shop.row(row).state for id_, row in rows.items()}
    assert states == {
        "keep": State.CREATED,
        "delete": State.DELETED,
        "again": State.CREATED,
        "drop": State.CANCELED,
    }
    assert shell.json("review", "list") == []


def test_a_program_gets_the_shipment(shell: Shell, shop: Shop) -> None:
    """With --json a way that is taken gives the shipment as it is then."""
    row = canceled_after(shop)

    told = shell.json("review", "resolve", row.id, "--keep")

    assert (told["shipment_id"], told["state"], told["error"]) == (row.id, "CREATED", "")


def test_a_fulfillment_is_named(shell: Shell, shop: Shop) -> None:
    """Where the number does not tell, the fulfillment is named."""
    row = asked_before(shop)
    by_hand = shop.fulfilled_by_hand(row.order_id, shop.number())

    told = shell.json("review", "resolve", row.id, "--keep", "--fulfillment", by_hand)

    assert (told["fulfillment_id"], told["state"]) == (by_hand, "CREATED")


def test_what_is_sent_again_and_refused_says_so(shell: Shell, shop: Shop) -> None:
    """Where sending it anew fails, the exit code and the reason are those of any shipment."""
    row = asked_before(shop)
    shop.edit(row.order_id, paymentStatus="NOT_PAID")

    result = shell.run("review", "resolve", row.id, "--again")

    assert result.exit_code == 4
    assert "is not paid" in result.stderr
    assert shop.row(row).state is State.FAILED


def test_what_is_booked_again_is_sent(shell: Shell, shop: Shop) -> None:
    """A booking in review is made, and sent, by the one command."""
    points = shell.folder.parent / "site" / "parcelhook-0.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}courier = parcelhook_courier\n")
    ready = {name: str(value) for name, value in shop.sandbox.ready.items() if name == "courier_key"}
    courier = {"HOST": f"{shop.sandbox.url}/courier", "KEY": ready["courier_key"]}
    named = {f"PARCELHOOK_CARRIERS__COURIER__{name}": value for name, value in courier.items()}
    order_id = shop.order(shippingInfo={"title": "Local Courier, next day"})
    shop.follow()
    (row,) = shop.rows(order_id)
    shop.ledger.shipments.move(moves.needs_review(row, reason="nobody knows what it booked"))

    told = replace(shell, variables={**shell.variables, **named}).json("review", "resolve", row.id, "--again")

    (parcel,) = shop.sandbox.sandbox.courier.find(row.intent_key)
    assert (told["state"], told["tracking_number"]) == ("CREATED", parcel.number)
    assert len(shop.fulfillments(order_id)) == 1


def test_a_paused_store_sends_nothing(shell: Shell, shop: Shop) -> None:
    """Where creations are stopped, what is to be sent anew waits."""
    row = asked_before(shop)
    shop.ledger.stores.set_paused("main", paused=True)

    told = shell.json("review", "resolve", row.id, "--again")

    assert told["state"] == "WAITING_LINK"
    assert shop.fulfillments(row.order_id) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give exactly one of --keep, --delete, --again, --drop"),
        (["--keep", "--drop"], "not --keep and --drop"),
        (["--keep", "--keep", "--delete"], "not --keep and --delete"),
        (["--drop", "--fulfillment", "x"], "--fulfillment goes with --keep alone"),
    ],
)
def test_exactly_one_way_is_taken(shell: Shell, shop: Shop, options: list[str], said: str) -> None:
    """None, or two of them, is a usage error, and nothing is done."""
    row = canceled_after(shop)
    shop.calls()

    error = shell.json("review", "resolve", row.id, *options, code=2)["error"]

    assert said in error["message"]
    assert not shop.calls()
    assert shop.row(row) == row


@pytest.mark.parametrize("way", ["--keep", "--delete", "--again", "--drop"])
def test_a_shipment_nobody_was_asked_about(shell: Shell, shop: Shop, way: str) -> None:
    """What is not in review is refused with exit code 2, and nothing is done."""
    row = shop.created(shop.order())

    error = shell.json("review", "resolve", row.id, way, code=2)["error"]

    assert (error["type"], error["field"]) == ("WrongState", "ID")
    assert "is CREATED" in error["message"]
    assert "parcelhook review list" in error["what_to_do"]
    assert len(shop.fulfillments(row.order_id)) == 1


@pytest.mark.parametrize("id_", ["no-such-shipment", "", "\x1b[2J", "' OR 1=1 --"])
def test_an_id_nobody_knows(shell: Shell, shop: Shop, id_: str) -> None:
    """An id that is none ends with exit code 2."""
    result = shell.run("review", "resolve", "--keep", "--", id_)

    assert result.exit_code == 2
    assert "no shipment has the id" in result.stderr
    assert "\x1b" not in result.output
