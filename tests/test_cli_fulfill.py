"""``fulfill``: one order's parcel becomes one fulfillment, or nothing happens and it is said why."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli_shops import LINE, LINE_2, Operator, number
from ledger_samples import execute
from parcelhook.cli import pursuit
from parcelhook.ledger import Ledger, State
from parcelhook.ledger.schema import VERSION_TABLE, VERSIONS
from parcelhook.wix import WixClient

pytest_plugins = ["stores", "cli_stores"]

DHL = ("--carrier", "dhl", "--number")
RTL = "\u202e"


def shipments(operator: Operator) -> dict[str, State]:
    """Read the state of every shipment by its number."""
    with Ledger.open(operator.ledger_url) as ledger:
        return {row.tracking_number: row.state for row in ledger.shipments.find()}


def pass_time(operator: Operator, *, column: str = "due_at") -> None:
    """Let a shipment's time have come: what was to be a minute from now is a while ago."""
    execute(operator.ledger_url, f"UPDATE shipment SET {column} = '2026-01-01 00:00:00.000000'")  # noqa: S608


# What is made


@pytest.mark.parametrize(
    ("carrier", "provider"),
    [("fedex", "fedex"), ("ups", "ups"), ("usps", "usps"), ("dhl", "dhl"), ("canada-post", "canadaPost")],
)
def test_a_standard_provider(operator: Operator, carrier: str, provider: str) -> None:
    """Wix is told its own provider's spelling and the number, and builds the link."""
    order_id, its = operator.order(), number()

    told = operator.json("fulfill", order_id, "--carrier", carrier, "--number", its)

    (fulfillment,) = operator.fulfillments(order_id)
    info = fulfillment["trackingInfo"]
    assert (info["shippingProvider"], info["trackingNumber"]) == (provider, its)
    expected = {
        "order_id": order_id,
        "state": "CREATED",
        "fulfillment_id": fulfillment["id"],
        "shipping_provider": provider,
        "tracking_number": its,
        "tracking_url": info["trackingLink"],
        "status": "unknown",
        "already_existed": False,
    }
    assert {name: told[name] for name in expected} == expected


def test_a_custom_carrier(operator: Operator) -> None:
    """A carrier Wix does not know goes by its name with the complete link."""
    order_id = operator.order()

    told = operator.json("fulfill", order_id, "--carrier", "acme", "--number", "AC123456782")

    info = operator.fulfillments(order_id)[0]["trackingInfo"]
    assert info == {
        "shippingProvider": "Acme Couriers",
        "trackingNumber": "AC123456782",
        "trackingLink": "https://track.acme.example/",
    }
    assert told["tracking_url"] == info["trackingLink"]


def test_a_link_of_ones_own(operator: Operator) -> None:
    """A given link replaces Wix's own, under the carrier's name."""
    order_id, url = operator.order(), "https://www.dhl.com/en/express/tracking.html?AWB=1"

    told = operator.json("fulfill", order_id, *DHL, number(), "--url", url)

    assert (told["shipping_provider"], told["tracking_url"]) == ("DHL", url)
    assert operator.fulfillments(order_id)[0]["trackingInfo"]["trackingLink"] == url


def test_the_same_command_again_finds_it(operator: Operator) -> None:
    """However often it is asked for, there is one fulfillment, and Wix is asked to create one once."""
    order_id, its = operator.order(), number()
    first = operator.json("fulfill", order_id, *DHL, its)
    assert operator.writes() == ["POST"]

    again = operator.json("fulfill", order_id, *DHL, its)

    assert again == {**first, "already_existed": True}
    assert operator.writes() == []


def test_a_key_names_the_shipment(operator: Operator) -> None:
    """The same key finds the shipment, and with another number it is refused."""
    order_id, its = operator.order(quantity=2), number()
    operator.json("fulfill", order_id, *DHL, its, "--key", "ours-1")

    assert operator.json("fulfill", order_id, *DHL, its, "--key", "ours-1")["already_existed"] is True
    assert "ours-1" in operator.refused("fulfill", order_id, *DHL, number(), "--key", "ours-1")
    assert len(operator.fulfillments(order_id)) == 1


def test_items_and_quantities(operator: Operator) -> None:
    """Named items ship in the quantity that is named, or in all that remains."""
    order_id = operator.order(items=[{"quantity": 3}, {"quantity": 2}])

    operator.json("fulfill", order_id, *DHL, number(), "--item", f"{LINE}:2", "--item", LINE_2)
    operator.json("fulfill", order_id, *DHL, number())

    shipped = [{line["id"]: line["quantity"] for line in each["lineItems"]} for each in operator.fulfillments(order_id)]
    assert shipped == [{LINE: 2, LINE_2: 2}, {LINE: 1}]


def test_people_get_lines(operator: Operator) -> None:
    """Without --json the fulfillment and its link are told, and a number that looks odd is a warning."""
    order_id = operator.order()

    result = operator.run("fulfill", order_id, "--carrier", "fedex", "--number", "1234")

    assert result.exit_code == 0
    (fulfillment,) = operator.fulfillments(order_id)
    assert f"Fulfillment {fulfillment['id']} created." in result.stdout
    assert f"Tracking link: {fulfillment['trackingInfo']['trackingLink']}" in result.stdout
    assert "does not look like a number of fedex" in result.stderr


# What is refused as it is asked


@pytest.mark.parametrize(
    ("carrier", "id_"),
    [("FedEx", "fedex"), ("canadapost", "canada-post"), ("canadaPost", "canada-post"), ("DHl", "dhl")],
)
def test_another_spelling_of_a_carrier(operator: Operator, carrier: str, id_: str) -> None:
    """A carrier's id is exact, and the one that is meant is named."""
    said = operator.refused("fulfill", operator.order(), "--carrier", carrier, "--number", number())

    assert f'Did you mean "{id_}"?' in said


@pytest.mark.parametrize(
    "bad",
    [
        *(
            "",
            " ",
            "x" * 101,
            "../1",
            "1/../2",
            "1?a=b&c",
            "1%00",
            "1\n2",
            "1\r\n2",
            "12\U0001f4e6",
            f"1{RTL}2",
            "1\u200f2",
        ),
        *("4.02102E+15", "4021020000000.00", "n/a", "None"),
    ],
    ids=ascii,
)
def test_a_number_that_is_none(operator: Operator, bad: str) -> None:
    """What no carrier prints is refused, naming the number, before Wix is asked anything."""
    said = operator.refused("fulfill", operator.order(), *DHL, bad)

    assert "number" in said
    assert RTL not in said
    assert shipments(operator) == {}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://www.dhl.com/1", "https://"),
        ("javascript:alert(1)", "link"),
        ("https://evil.example/1", "evil.example"),
        ("https://www.dhl.com@evil.example/1", "user name"),
        ("https://me:secret@www.dhl.com/1", "user name"),
        ("https://www.dhl.com/" + "x" * 2048, "2,048"),
        ("https://www.dhl.com/\n1", "control character"),
        ("https://www.dhl.com/\u202e1", "character"),
        ("https://www.dhl.com:8443/1", "port"),
        ("www.dhl.com/1", "link"),
    ],
    ids=lambda text: ascii(text)[:40],
)
def test_a_link_that_must_not_be_shown(operator: Operator, url: str, says: str) -> None:
    """A link that could lead a customer astray is refused, naming what is wrong with it."""
    said = operator.refused("fulfill", operator.order(), *DHL, number(), "--url", url)

    assert "url" in said
    assert says in said
    assert "secret" not in said
    assert shipments(operator) == {}


def test_a_custom_carrier_without_any_link(operator: Operator) -> None:
    """A custom carrier without a page of its own needs the link, and Wix is not asked without one."""
    operator.shell.write(
        "carriers/bare.toml",
        'id = "bare"\nname = "Bare"\ncountries = ["IL"]\n'
        "[[numbers]]\nservice = 'Bare'\npattern = '(?P<serial>B\\d+)'\n",
    )
    order_id = operator.order()

    said = operator.refused("fulfill", order_id, "--carrier", "bare", "--number", "B1")

    assert "link" in said
    assert operator.writes() == []
    assert (
        operator.json("fulfill", order_id, "--carrier", "bare", "--number", "B1", "--url", "https://bare.example/B1")[
            "state"
        ]
        == "CREATED"
    )


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"status": "PENDING"}, "not approved"),
        ({"status": "CANCELED"}, "canceled"),
        ({"paymentStatus": "NOT_PAID"}, "not paid"),
        ({"archived": True}, "archived"),
        ({"items": [{"itemType": {"preset": "DIGITAL"}}]}, "digital"),
        ({"shippingInfo": {"logistics": {"pickupDetails": {"pickupMethod": "STORE_PICKUP"}}}}, "picked up"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_order_that_is_not_shipped(operator: Operator, order: dict[str, Any], says: str) -> None:
    """What must not ship is refused with the reason, and Wix is asked to create nothing."""
    order_id = operator.order(**order)

    said = operator.refused("fulfill", order_id, *DHL, number())

    assert says in said
    assert operator.writes() == []


def test_an_order_that_does_not_exist(operator: Operator) -> None:
    """An order the store does not have is bad input."""
    unknown = "11111111-1111-4111-8111-111111111111"

    assert unknown in operator.refused("fulfill", unknown, *DHL, number())
    assert "not an id" in operator.refused("fulfill", "../orders", *DHL, number())


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (["nope"], "nope"),
        (["nope:1"], "nope"),
        ([f"{LINE}:0"], "quantity 0"),
        ([f"{LINE}:3"], "2 remain"),
        ([f"{LINE}:-1"], "--item"),
        ([f"{LINE}:x"], "--item"),
        ([":1"], "--item"),
        ([f"{LINE}:1", f"{LINE}:1"], "twice"),
        ([f"{LINE}:999999999"], "quantity 999999999"),
    ],
    ids=lambda value: value[0][-12:] if isinstance(value, list) else "",
)
def test_items_that_cannot_ship(operator: Operator, items: list[str], says: str) -> None:
    """An unknown item, or a quantity that does not remain, is refused by name, and nothing is created."""
    order_id = operator.order(quantity=2)

    said = operator.refused("fulfill", order_id, *DHL, number(), *(part for item in items for part in ("--item", item)))

    assert says in said
    assert operator.writes() == []


def test_nothing_left(operator: Operator) -> None:
    """A second number for an order whose items are all shipped is refused."""
    order_id = operator.order()
    operator.json("fulfill", order_id, *DHL, number())

    assert "nothing left to ship" in operator.refused("fulfill", order_id, *DHL, number())
    assert len(operator.fulfillments(order_id)) == 1


def test_what_was_refused_may_be_asked_for_rightly(operator: Operator) -> None:
    """After a mistake the same number ships with what is right."""
    order_id, its = operator.order(quantity=2), number()
    operator.refused("fulfill", order_id, *DHL, its, "--item", f"{LINE}:3")

    assert operator.json("fulfill", order_id, *DHL, its, "--item", f"{LINE}:2")["state"] == "CREATED"


def test_a_number_of_another_order(operator: Operator) -> None:
    """A number that Wix has on another order is refused, naming that order."""
    its, first, second = number(), operator.order(), operator.order()
    operator.json("fulfill", first, *DHL, its)

    said = operator.refused("fulfill", second, *DHL, its, code=4)

    assert "is on order" in said
    assert operator.fulfillments(second) == []


@pytest.mark.parametrize(
    "arguments", [[], ["order-1"], ["order-1", "--carrier", "dhl"], ["order-1", "--file", "x.csv"]], ids=len
)
def test_usage(operator: Operator, arguments: list[str]) -> None:
    """What is missing, or does not go together, is a usage error."""
    assert "Usage" in operator.refused("fulfill", *arguments)


# What goes wrong on the way


def test_refused_credentials(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that Wix does not take is told as such, is not printed, and the parcel ships once it is right."""
    order_id, its = operator.order(), number()
    good = operator.sets(WIX_APP_SECRET="sentinel-of-a-wrong-secret")

    result = operator.run("fulfill", order_id, *DHL, its)

    assert result.exit_code == 4
    assert "401" in result.stderr
    assert "sentinel" not in result.output
    operator.shell = replace(operator.shell, variables=good)
    assert operator.json("fulfill", order_id, *DHL, its)["state"] == "CREATED"
    assert len(operator.fulfillments(order_id)) == 1


def test_no_connection(operator: Operator) -> None:
    """A store that cannot be reached is told as such, and nothing is open."""
    order_id, its = operator.order(), number()
    operator.sets(WIX_URL="http://127.0.0.1:9")

    result = operator.run("fulfill", order_id, *DHL, its)

    assert result.exit_code == 4
    assert "no connection to Wix" in result.stderr
    assert shipments(operator) == {its: State.READY}


@pytest.mark.parametrize(
    ("fault", "is_made"),
    [
        ({"effect": "untold"}, True),
        ({"effect": "untold", "body": "html"}, True),
        ({"effect": "none", "body": "truncated", "status": 200}, False),
        ({"effect": "none", "status": 503}, False),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_an_unclear_answer_is_decided_by_the_same_command(
    operator: Operator, fault: dict[str, Any], *, is_made: bool
) -> None:
    """Undecided at first, and not asked for again; later Wix is asked what it has, and there is one fulfillment."""
    order_id, its = operator.order(), number()
    operator.fault("create", **fault)

    first = operator.json("fulfill", order_id, *DHL, its, code=4)
    again = operator.json("fulfill", order_id, *DHL, its, code=4)

    assert (first["state"], again["state"]) == ("SENDING", "SENDING")
    assert "Run the same command again after" in again["what_to_do"]
    assert operator.writes() == ["POST"]
    pass_time(operator)
    decided = operator.json("fulfill", order_id, *DHL, its)
    assert [each["id"] for each in operator.fulfillments(order_id)] == [decided["fulfillment_id"]]
    assert decided["already_existed"] is is_made
    assert operator.writes() == ([] if is_made else ["POST"])


def test_a_short_settle_time_is_waited_for(operator: Operator) -> None:
    """Where Wix may be asked soon, the second command waits for it and says so."""
    order_id, its = operator.order(), number()
    operator.sets(SETTLE_SECONDS="0.5")
    operator.fault("create", effect="untold")
    operator.refused("fulfill", order_id, *DHL, its, code=4)
    execute(operator.ledger_url, f"UPDATE shipment SET due_at = '{_soon()}'")  # noqa: S608

    result = operator.run("fulfill", order_id, *DHL, its)

    assert result.exit_code == 0
    assert pursuit.LEFT_BEHIND in result.stderr
    assert "was there already" in result.stdout


def _soon() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(time.time() + 2))


def test_an_answer_that_does_not_come(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is too slow leaves it open whether the fulfillment was made."""
    monkeypatch.setattr("parcelhook.wix.WixClient", partial(WixClient, timeout=0.5))
    order_id = operator.order()
    operator.fault("create", effect="untold", delay=2)

    said = operator.refused("fulfill", order_id, *DHL, number(), code=4)

    assert "Error: create: " in said
    assert "Run the same command again after" in said


def test_a_second_unclear_answer_asks_a_person(operator: Operator) -> None:
    """What stays unclear is not tried for ever."""
    order_id, its = operator.order(), number()
    operator.fault("create", status=503, times=2)
    operator.json("fulfill", order_id, *DHL, its, code=4)
    for _ in range(2):
        pass_time(operator)
        last = operator.json("fulfill", order_id, *DHL, its, code=4)

    assert last["state"] == "NEEDS_REVIEW"
    assert last["what_to_do"]
    assert operator.writes() == ["POST", "POST"]


def test_what_wix_refuses(operator: Operator) -> None:
    """A refusal is final and told with Wix's own reason."""
    order_id = operator.order()
    operator.fault("create", status=400, code="SOMETHING_ODD")

    told = operator.json("fulfill", order_id, *DHL, number(), code=4)

    assert told["state"] == "FAILED"
    assert "Wix answered 400" in told["error"]


def test_a_held_shipment_is_waited_for(operator: Operator) -> None:
    """A shipment that another process holds is waited for, and not sent beside it."""
    order_id, its = operator.order(), number()
    operator.fault("create", status=503)
    operator.json("fulfill", order_id, *DHL, its, code=4)
    execute(
        operator.ledger_url,
        f"UPDATE shipment SET claimed_by = 'another', claimed_until = '{_soon()}', due_at = NULL",  # noqa: S608
    )
    operator.writes()

    said = operator.refused("fulfill", order_id, *DHL, its, code=4)

    assert pursuit.HELD in said
    assert "Run the same command again after" in said
    assert operator.writes() == []


# The ledger


def test_a_ledger_of_a_newer_parcelhook(operator: Operator) -> None:
    """A ledger this version does not know is left alone."""
    execute(operator.ledger_url, f"UPDATE {VERSION_TABLE.name} SET version_num = '9999'")  # noqa: S608

    said = operator.refused("fulfill", operator.order(), *DHL, number(), code=6)

    assert "newer parcelhook" in said
    assert VERSIONS[-1] in said
    assert operator.writes() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: f"sqlite:///file:{path}?mode=ro&uri=true",
        lambda path: (path.write_bytes(b"no database" * 500), f"sqlite:///{path}")[1],
        lambda path: f"sqlite:///{path.parent / 'nowhere' / 'ledger.sqlite'}",
        lambda _: "postgresql://nobody@127.0.0.1:9/none",
    ],
    ids=["read-only", "garbage", "no folder", "no server"],
)
def test_a_ledger_that_cannot_be_used(operator: Operator, spoil: Callable[[Path], str]) -> None:
    """Without a ledger nothing is done, and it is said what is wrong with it."""
    url = spoil(operator.ledger)
    operator.sets(DATABASE_URL=url)

    said = operator.refused("fulfill", operator.order(), *DHL, number(), code=6)

    assert "the ledger" in said
    assert operator.writes() == []


def test_secrets_are_not_printed(operator: Operator) -> None:
    """Whatever happens, no output holds the app's secret, an access token or the shipments' token."""
    order_id, its = operator.order(), number()
    operator.fault("create", status=503)
    outputs = [operator.run("--debug", "fulfill", order_id, *DHL, its).output]
    outputs += [operator.run("fulfill", each, *DHL, its).output for each in (order_id, "nope")]
    operator.fault("get-order", status=403)
    outputs.append(operator.run("--debug", "fulfill", operator.order(), *DHL, number()).output)

    assert all(outputs)
    assert not [secret for secret in operator.secrets() for output in outputs if secret in output]


# A process that dies


@pytest.mark.parametrize("effect", ["untold", "none"])
def test_a_command_that_was_killed(operator: Operator, effect: str) -> None:
    """Killed between call and answer: the same command ends with exactly one fulfillment, once the claim has ended."""
    order_id, its = operator.order(), number()
    operator.fault("create", effect=effect, delay=30)
    command = ("fulfill", order_id, *DHL, its, "--json")
    with operator.shell.process(*command) as process:
        _wait_until(lambda: shipments(operator).get(its) is State.SENDING, process)
        _wait_until(lambda: not operator.control("GET", "faults")["waiting"], process)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    pass_time(operator, column="claimed_until")
    operator.sets(SETTLE_SECONDS="0")

    told = operator.json("fulfill", order_id, *DHL, its)

    assert told["state"] == "CREATED"
    assert told["already_existed"] is (effect == "untold")
    assert [each["id"] for each in operator.fulfillments(order_id)] == [told["fulfillment_id"]]


def test_the_claim_of_a_killed_command_ends_by_itself(operator: Operator) -> None:
    """The same command at once waits for the claim of the dead one, says so, and decides."""
    order_id, its = operator.order(), number()
    operator.sets(SETTLE_SECONDS="0")
    operator.fault("create", effect="untold", delay=30)
    with operator.shell.process("fulfill", order_id, *DHL, its) as process:
        _wait_until(lambda: not operator.control("GET", "faults")["waiting"] and bool(shipments(operator)), process)
        process.kill()

    result = operator.run("fulfill", order_id, *DHL, its)

    assert result.exit_code == 0, result.output
    assert pursuit.HELD in result.stderr
    assert len(operator.fulfillments(order_id)) == 1


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
