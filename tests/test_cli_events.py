"""``events``: which webhooks came in, and what followed from each."""

from __future__ import annotations

from datetime import timedelta

from cli_runs import Shell
from shops import Shop

pytest_plugins = ["stores", "shop_shell"]


def test_an_empty_inbox(shell: Shell) -> None:
    """Where nothing came in, programs get an empty list and people a sentence."""
    assert shell.json("events") == []
    assert shell.run("events").stdout == "No webhook has come in yet.\n"


def test_what_followed_from_a_webhook(shell: Shell, shop: Shop) -> None:
    """An event is told with its order and its outcome, and with nothing of its payload."""
    order_id = shop.order()
    shop.follow()

    (told,) = [each for each in shell.json("events", "--order", order_id) if each["type"].endswith("order_approved")]

    assert set(told) == {"id", "store", "type", "order_id", "received_at", "attempts", "finished_at", "outcome"}
    assert (told["order_id"], told["store"]) == (order_id, "main")
    assert "waits for a carrier and a number" in told["outcome"]
    assert told["finished_at"] is not None
    assert "waits for a carrier and a number" in shell.run("events").stdout


def test_a_webhook_that_is_still_to_be_dealt_with(shell: Shell, shop: Shop) -> None:
    """An event that came in and was not dealt with yet has no outcome."""
    order_id = shop.order()
    shop.deliver()

    told = shell.json("events", "--order", order_id)

    assert {(each["finished_at"], each["outcome"]) for each in told} == {(None, "")}


def test_events_of_one_order_and_of_the_latest_alone(shell: Shell, shop: Shop) -> None:
    """An order and a limit leave out the others."""
    first, second = shop.orders(2)
    shop.deliver()

    assert {each["order_id"] for each in shell.json("events")} == {first, second}
    assert {each["order_id"] for each in shell.json("events", "--order", second)} == {second}
    assert len(shell.json("events", "--limit", "1")) == 1


def test_a_webhook_that_was_put_off(shell: Shell, shop: Shop) -> None:
    """An event that could not be dealt with yet says why, and how often it was tried."""
    shop.order()
    shop.deliver()
    (event, *_) = shop.ledger.inbox.take(lease_seconds=60)
    shop.ledger.inbox.retry(event, due_at=shop.clock() + timedelta(minutes=1), detail="Wix does not answer")

    (told,) = [each for each in shell.json("events") if each["id"] == event.id]

    assert (told["outcome"], told["attempts"], told["finished_at"]) == ("Wix does not answer", 1, None)


def test_nothing_of_the_buyer_is_shown(shell: Shell, shop: Shop) -> None:
    """What an event holds is not printed."""
    shop.order(buyerInfo={"email": "someone@buyer.example"})
    shop.deliver()

    assert "someone@" not in shell.run("events").stdout
    assert "someone@" not in str(shell.json("events"))


def test_a_store_that_is_not_configured(shell: Shell) -> None:
    """A store nobody configured is no empty list: exit code 2, and the stores there are."""
    error = shell.json("events", "--store", "other", code=2)["error"]

    assert (error["field"], error["what_to_do"]) == ("--store", "Configured are: main.")
