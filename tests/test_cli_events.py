"""``events`` and ``replay``: which webhooks came in, what followed from each, and one dealt with once more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from cli_runs import Shell
from parcelhook.ledger import InboxEvent
from shops import ID, Shop

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

    assert set(told) == {
        *{"id", "store", "type", "order_id", "received_at", "state"},
        *{"attempts", "due_at", "finished_at", "outcome"},
    }
    assert (told["order_id"], told["store"], told["state"], told["due_at"]) == (order_id, "main", "done", None)
    assert "waits for a carrier and a number" in told["outcome"]
    assert told["finished_at"] is not None
    assert "waits for a carrier and a number" in shell.run("events").stdout


def test_a_webhook_that_is_still_to_be_dealt_with(shell: Shell, shop: Shop) -> None:
    """An event that came in and was not dealt with yet has no outcome."""
    order_id = shop.order()
    shop.deliver()

    told = shell.json("events", "--order", order_id)

    assert {(each["state"], each["finished_at"], each["outcome"]) for each in told} == {("pending", None, "")}


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
    (event, *_) = shop.ledger.inbox.take(ID, lease_seconds=60)
    due_at = shop.clock() + timedelta(minutes=1)
    shop.ledger.inbox.retry(event, due_at=due_at, detail="Wix does not answer")

    (told,) = [each for each in shell.json("events") if each["id"] == event.id]

    assert (told["outcome"], told["attempts"], told["finished_at"]) == ("Wix does not answer", 1, None)
    assert (told["state"], told["due_at"]) == ("put_off", due_at.isoformat())
    assert f"Wix does not answer (tries: 1); tried again {due_at:%Y-%m-%d %H:%M:%S}" in shell.run("events").stdout


def test_a_webhook_that_was_ignored(shell: Shell, shop: Shop) -> None:
    """An event nothing follows from is ignored, and says why."""
    order_id = shop.order()
    shop.follow()

    ignored = [each for each in shell.json("events", "--order", order_id) if each["state"] == "ignored"]

    assert ignored
    assert all(each["outcome"].startswith("ignored: ") for each in ignored)
    assert "ignored  nothing follows" in shell.run("events").stdout


def test_what_is_still_to_be_dealt_with(shell: Shell, shop: Shop) -> None:
    """--pending leaves out what is done, and says so where nothing is left."""
    first = shop.order()
    shop.follow()
    assert shell.run("events", "--pending").stdout == "No webhook is still to be dealt with.\n"
    second = shop.order()
    shop.deliver()

    assert {each["order_id"] for each in shell.json("events", "--pending")} == {second}
    assert shell.json("events", "--pending", "--order", first) == []


def test_a_webhook_is_dealt_with_once_more(shell: Shell, shop: Shop) -> None:
    """After replay an event is pending again, whoever deals with webhooks takes it, and nothing is done twice."""
    order_id = shop.order()
    shop.follow()
    (event,) = [each for each in shell.json("events", "--order", order_id) if each["type"].endswith("order_approved")]

    answer = shell.json("replay", event["id"])

    assert answer == {"event_id": event["id"], "store": "main", "state": "pending"}
    assert [each["id"] for each in shell.json("events", "--pending")] == [event["id"]]
    assert shop.follow() == {"order_approved": "its shipment is known already"}
    assert len(shop.rows(order_id)) == 1


def test_replay_says_who_deals_with_it(shell: Shell, shop: Shop) -> None:
    """People are told that a running service does it."""
    shop.order()
    (event, *_) = shop.deliver()

    told = shell.run("replay", event.id)

    assert told.exit_code == 0
    assert told.stdout.startswith(f"Event {event.id} of store main is to be dealt with once more.\n")
    assert "parcelhook serve" in told.stdout


def test_replay_of_an_event_nobody_knows(shell: Shell) -> None:
    """An unknown id is bad input, and where ids are found is said."""
    error = shell.json("replay", "no-such-event", code=2)["error"]

    assert error["field"] == "EVENT_ID"
    assert "no-such-event" in error["message"]
    assert "parcelhook events" in error["what_to_do"]


def test_replay_of_an_event_of_several_stores(shell: Shell, shop: Shop) -> None:
    """An id that two stores have needs the store; one that only another store has is not found."""
    shop.ledger.stores.ensure("other", site="site-2")
    event = InboxEvent(store="main", id="event-1", event_type="approved", payload="{}")
    shop.ledger.inbox.receive([event, replace(event, store="other"), replace(event, store="other", id="event-2")])

    several = shell.json("replay", "event-1", code=2)["error"]
    elsewhere = shell.json("replay", "event-2", "--store", "main", code=2)["error"]

    assert (several["field"], "main, other" in several["message"]) == ("--store", True)
    assert "in the store main; it came in for other" in elsewhere["message"]
    assert shell.json("replay", "event-1", "--store", "main")["store"] == "main"


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
