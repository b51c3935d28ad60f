"""Several stores in one installation: whatever they have in common by name, neither ever touches the other."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from branches import APP, Branch, Company, company, number, twins
from history_check import history_of, violations
from parcelhook.ledger import Ledger, schema
from parcelhook.ledger.states import State
from processes import Running as Process
from processes import wait_for

LINE = "00000000-0000-0000-0000-000000000001"
COURIER = {"shippingInfo": {"title": "Local Courier"}}
RULES = """
[[stores.north.rules]]
shipping_method = "Express*"
carrier = "dhl"

[[rules]]
shipping_method = "Express*"
carrier = "ups"
"""
OWNERS = {
    schema.shipment_item: schema.shipment,
    schema.shipment_parcel: schema.shipment,
    schema.booking: schema.shipment,
    schema.notice: schema.shipment,
    schema.scan: schema.parcel,
    schema.wix_call_order: schema.wix_call,
}
"""Whose rows name a row of another table, by an id that is unique whatever the store."""


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Open two stores for all of this file; each test has orders of its own."""
    with company(tmp_path_factory.mktemp("firm"), rules=RULES, PARCELHOOK_POLL_SCALE="0.00007") as made:
        yield made


@pytest.fixture(scope="module")
def service(firm: Company) -> Iterator[Process]:
    """Serve both stores from one process."""
    with firm.serve() as served:
        yield served


@pytest.fixture
def north(firm: Company) -> Branch:
    """Give the first store."""
    return firm.branches["north"]


@pytest.fixture
def south(firm: Company) -> Branch:
    """Give the other one."""
    return firm.branches["south"]


def select(firm: Company, query: sa.Select[Any]) -> list[tuple[Any, ...]]:
    """Read the ledger's tables over a connection of one's own."""
    engine = sa.create_engine(firm.ledger_url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]
    finally:
        engine.dispose()


def statuses(branch: Branch, order_id: str) -> list[str | None]:
    """Give the statuses of an order's fulfillments as Wix has them."""
    return [each.get("status") for each in branch.fulfillments(order_id)]


def delivered(branch: Branch, order_id: str) -> bool:
    """Tell whether Wix was told that an order's parcel arrived."""
    return statuses(branch, order_id) == ["Fulfilled"]


def test_orders_alike_in_two_stores_are_two_orders(
    firm: Company, service: Process, north: Branch, south: Branch
) -> None:
    """One order id, order number, line item, tracking number and key in both stores: each ships its own, once."""
    order_id, its = twins(firm.branches), number()
    for name in firm.branches:
        firm.until(name, order_id, State.WAITING_NUMBER)

    first = north.ship(service, order_id, its, key="key-1")
    row = firm.until("north", order_id, State.CREATED)

    assert first.json()["shipment_id"] == row.id
    assert [each.state for each in firm.rows("south", order_id)] == [State.WAITING_NUMBER]
    assert south.fulfillments(order_id) == []

    second = south.ship(service, order_id, its, key="key-1")
    other = firm.until("south", order_id, State.CREATED)

    assert (second.status_code, second.json()["shipment_id"]) == (202, other.id)
    assert row.parcels[0].id != other.parcels[0].id
    for branch, bound, quantity in ((north, row, 1), (south, other, 2)):
        (fulfillment,) = branch.fulfillments(order_id)
        assert fulfillment["id"] == bound.fulfillment_id
        assert [item["quantity"] for item in fulfillment["lineItems"]] == [quantity]
        assert fulfillment["trackingInfo"]["trackingNumber"] == its


def test_a_parcel_of_one_number_moves_in_its_own_store(
    firm: Company, service: Process, north: Branch, south: Branch
) -> None:
    """Each store books at its own account; that both couriers give one number makes it no one parcel."""
    assert service.url
    order_id = twins(firm.branches, **COURIER)
    rows = {name: firm.until(name, order_id, State.CREATED) for name in firm.branches}
    its = {name: row.tracking_number for name, row in rows.items()}
    assert its["north"] == its["south"]
    wait_for(lambda: statuses(south, order_id) == ["Ready"], what="the south's parcel is announced")

    north.control("POST", f"parcels/courier/{its['north']}", {"journey": "delivered"})
    wait_for(lambda: delivered(north, order_id), what="the north's parcel arrives")

    assert statuses(south, order_id) == ["Ready"]
    assert len({parcel.id for row in rows.values() for parcel in row.parcels}) == 2
    south.control("POST", f"parcels/courier/{its['south']}", {"journey": "delivered"})
    wait_for(lambda: delivered(south, order_id), what="the south's parcel arrives")


def test_a_store_has_its_own_rules_and_those_of_all(firm: Company, service: Process) -> None:
    """One shipping method goes to one carrier by a store's own rule, and elsewhere to the common rule's."""
    assert service.url
    order_id = twins(firm.branches, shippingInfo={"title": "Express, tomorrow"})

    chosen = {name: firm.until(name, order_id, State.WAITING_NUMBER).carrier for name in firm.branches}

    assert chosen == {"north": "dhl", "south": "ups"}


def test_an_order_asked_for_with_another_stores_token_is_unknown(
    firm: Company, service: Process, north: Branch, south: Branch
) -> None:
    """A token speaks for its own store: the order of the other is no order there, and is left alone where it is."""
    order_id = north.order()
    firm.until("north", order_id, State.WAITING_NUMBER)
    before = len(north.tap.about(order_id))

    answer = south.ship(service, order_id, number())
    row = firm.until("south", order_id, State.FAILED)

    assert answer.json()["shipment_id"] == row.id
    assert "has no order" in row.error
    assert north.fulfillments(order_id) == []
    assert [each.state for each in firm.rows("north", order_id)] == [State.WAITING_NUMBER]
    assert len(north.tap.about(order_id)) == before


def test_an_event_of_a_store_that_is_not_configured_is_nobodys(
    firm: Company, service: Process, north: Branch, south: Branch
) -> None:
    """The app signed it, and none of its stores here has the instance: not taken, so that Wix sends it again."""
    order_id = north.order()
    firm.until("north", order_id, State.WAITING_NUMBER)
    event = next(each for each in north.sandbox.sandbox.events.log.values() if each.entity_id == order_id)
    envelope = {**event.envelope, "instanceId": str(uuid4()), "data": json.dumps({**event.domain_event, "id": "e-9"})}
    token = north.sandbox.sandbox.signer.sign(json.dumps(envelope), lifetime=300_000)

    answer = httpx.post(f"{service.url}/webhooks", content=token)

    assert answer.status_code == 404
    assert "configured" in answer.json()["error"]
    assert select(firm, sa.select(schema.inbox).where(schema.inbox.c.id == "e-9")) == []
    assert south.tap.about(order_id) == []


def test_an_orders_story_is_its_own_stores(firm: Company, service: Process, north: Branch, south: Branch) -> None:
    """``why`` tells of the order in the store that is named, and asks which one where its id is in two."""
    order_id = twins(firm.branches)
    rows = {name: firm.until(name, order_id, State.WAITING_NUMBER) for name in firm.branches}
    north.ship(service, order_id, number())
    firm.until("north", order_id, State.CREATED)

    unnamed = firm.shell.run("why", order_id)
    told = firm.shell.run("--json", "why", order_id, "--store", "south").stdout

    assert unnamed.exit_code == 2
    assert {"north", "south"} <= set(unnamed.stderr.replace(",", " ").replace(".", " ").split())
    assert rows["south"].id in told
    assert rows["north"].id not in told
    assert "create-fulfillment" not in told
    assert south.fulfillments(order_id) == []


def test_a_command_works_on_the_store_it_names(firm: Company, service: Process, north: Branch, south: Branch) -> None:
    """fulfill, status and shipments reach the store that is named, though the other has an order of the same id."""
    assert service.url
    order_id, its = twins(firm.branches), number()

    made = firm.shell.json("--store", "south", "fulfill", order_id, "--carrier", "dhl", "--number", its)

    assert made["state"] == "CREATED"
    assert north.fulfillments(order_id) == []
    told = {name: firm.shell.json("status", order_id, "--store", name)["fulfillments"] for name in firm.branches}
    assert told["north"] == []
    assert [each["id"] for each in told["south"]] == [made["fulfillment_id"]]
    moved = firm.shell.json("status", order_id, "--store", "south", "--set", "delivered")["fulfillments"]
    assert [each["wix_status"] for each in moved] == ["Fulfilled"]
    assert [each["status"] for each in south.fulfillments(order_id)] == ["Fulfilled"]


@pytest.mark.parametrize(
    "arguments", [("fulfill", "1", "--carrier", "dhl", "--number", "1"), ("status", "1")], ids=lambda it: it[0]
)
def test_a_command_that_needs_one_store_names_them_all(firm: Company, arguments: tuple[str, ...]) -> None:
    """Without --store the exit code is 6, with one that is not configured 2, and both say which there are."""
    unnamed, unknown = firm.shell.run(*arguments), firm.shell.run(*arguments, "--store", "nord")

    assert (unnamed.exit_code, unknown.exit_code) == (6, 2)
    assert "Add --store with one of: north, south." in unnamed.stderr
    assert "there is no store 'nord'; did you mean north?" in unknown.stderr
    assert "Configured are: north, south." in unknown.stderr


@pytest.mark.parametrize("command", ["shipments", "events", "orders"])
def test_a_list_shows_all_stores_or_the_one_that_is_named(firm: Company, service: Process, command: str) -> None:
    """Lists have a column that says whose each row is; --store leaves the others out, and must be configured."""
    assert service.url
    order_id = twins(firm.branches)
    for name in firm.branches:
        firm.until(name, order_id, State.WAITING_NUMBER)

    stores = Counter(row["store"] for row in firm.shell.json(command) if row["order_id"] == order_id)
    named = {row["store"] for row in firm.shell.json(command, "--store", "south")}
    table = firm.shell.run(command).stdout.splitlines()

    assert set(stores) == {"north", "south"}
    assert named == {"south"}
    assert "store" in table[0].split()
    assert {"north", "south"} <= {word for line in table[1:] for word in line.split()}
    assert firm.shell.run(command, "--store", "nord").exit_code == 2


def test_a_shipment_is_shown_to_its_own_store_only(firm: Company, service: Process, north: Branch) -> None:
    """With another store's name a shipment's id is refused, as one that does not exist, and nothing happens to it."""
    order_id = north.order()
    north.ship(service, order_id, number())
    row = firm.until("north", order_id, State.CREATED)

    commands = (
        ("shipments", "show", row.id),
        ("shipments", "correct", row.id, "--number", number()),
        ("shipments", "delete", row.id, "--yes"),
        ("review", "resolve", row.id, "--drop"),
    )
    for command in commands:
        refused = firm.shell.run(*command, "--store", "south")
        assert refused.exit_code == 2, command
        assert f"no shipment has the id {row.id}" in refused.stderr
        assert order_id not in refused.output

    assert [each["id"] for each in north.fulfillments(order_id)] == [row.fulfillment_id]
    assert firm.rows("north", order_id, State.CREATED) == [row]
    assert firm.shell.json("shipments", "show", row.id, "--store", "north")["store"] == "north"
    assert firm.shell.json("shipments", "show", row.id)["store"] == "north"


def test_what_waits_for_a_person_is_listed_by_store(
    firm: Company, service: Process, north: Branch, south: Branch
) -> None:
    """Canceled after its fulfillment in both stores: each has its own review, and --store shows one of them."""
    order_id = twins(firm.branches)
    for branch in (north, south):
        branch.ship(service, order_id, number())
        firm.until(branch.name, order_id, State.CREATED)
        branch.control("POST", f"orders/{order_id}/cancel")
    rows = {name: firm.until(name, order_id, State.NEEDS_REVIEW) for name in firm.branches}

    reviews = firm.shell.json("review", "list")
    listed = {each["store"]: each["shipment_id"] for each in reviews if each["order_id"] == order_id}
    named = firm.shell.json("review", "list", "--store", "south")

    assert listed == {name: row.id for name, row in rows.items()}
    assert [each["shipment_id"] for each in named] == [rows["south"].id]


def test_no_row_of_a_store_names_another_stores_row(
    firm: Company, service: Process, north: Branch, south: Branch
) -> None:
    """In no table is a row of one store tied to one of another; fulfillments are where the store's Wix has them."""
    assert service.url
    order_id = twins(firm.branches, **COURIER)
    for name in firm.branches:
        firm.until(name, order_id, State.CREATED)
    scanned = sa.select(schema.scan.c.store).distinct()
    wait_for(lambda: len(select(firm, scanned)) == 2, what="both parcels are scanned")

    for child, owner in OWNERS.items():
        its_id = child.c[f"{owner.name.removeprefix('wix_')}_id"]
        pairs = set(select(firm, sa.select(child.c.store, owner.c.store).join_from(child, owner, owner.c.id == its_id)))
        assert pairs == {("north", "north"), ("south", "south")}, child.name
    for branch in (north, south):
        at_wix = {each["id"] for found in branch.control("GET", "fulfillments").values() for each in found}
        bound = sa.select(schema.shipment.c.fulfillment_id).where(
            schema.shipment.c.store == branch.name, schema.shipment.c.fulfillment_id.is_not(None)
        )
        assert {its for (its,) in select(firm, bound)} <= at_wix


def test_no_credential_of_a_store_reaches_another(firm: Company, service: Process) -> None:
    """What each store's Wix and courier were shown is what they gave out; nobody was turned away."""
    assert service.url
    order_id = twins(firm.branches, **COURIER)
    for name in firm.branches:
        firm.until(name, order_id, State.CREATED)

    shown = {name: branch.tap.credentials() for name, branch in firm.branches.items()}

    assert not shown["north"] & shown["south"]
    for name, branch in firm.branches.items():
        given = {token.removeprefix("Bearer ") for token in shown[name]}
        assert given <= branch.tokens() | {str(branch.sandbox.ready["courier_key"])}
        instances = {each.json["instance_id"] for each in branch.tap.about("/oauth2/token")}
        assert instances == {branch.sandbox.ready["instance_id"]}
        assert not [call for call in branch.control("GET", "calls") if call["status"] in {401, 403}]


def test_each_store_has_a_history_without_a_breach(firm: Company, service: Process) -> None:
    """Judged by itself, each store has one fulfillment an intent, and all of its calls are in its own ledger rows."""
    assert service.url
    order_id = twins(firm.branches, **COURIER)
    for name in firm.branches:
        firm.until(name, order_id, State.CREATED)

    def is_at_rest(branch: Branch) -> bool:
        with Ledger.open(firm.ledger_url) as ledger:
            return not violations(history_of(branch, ledger, store=branch.name, orders=[order_id]))

    for branch in firm.branches.values():
        wait_for(partial(is_at_rest, branch), what=f"the {branch.name} is at rest")
        calls = [call for call in branch.control("GET", "calls") if order_id in call["path"]]
        written = select(
            firm,
            sa.select(schema.wix_call.c.method, schema.wix_call.c.path).where(schema.wix_call.c.store == branch.name),
        )
        assert not Counter((call["method"], call["path"]) for call in calls) - Counter(written)


def test_two_sites_have_two_budgets(firm: Company, service: Process) -> None:
    """Each site's calls are counted in a row of its own, under its app instance."""
    assert service.url
    order_id = twins(firm.branches, **COURIER)
    for name in firm.branches:
        firm.until(name, order_id, State.CREATED)

    sites = {site for (site,) in select(firm, sa.select(schema.call_budget.c.site))}

    assert sites == {str(branch.sandbox.ready["instance_id"]) for branch in firm.branches.values()}


@pytest.mark.parametrize("trouble", ["hangs", "refuses", "is-spent"])
def test_a_store_in_trouble_holds_up_no_other(tmp_path: Path, postgres_url: str, trouble: str) -> None:
    """While one store's Wix hangs, refuses its credentials or its budget is spent, the other ships within seconds."""
    # Where writers wait for one row, and not for the file, one store's waiting could still be another's.
    with company(tmp_path, ledger_url=postgres_url if trouble == "is-spent" else "") as firm:
        north, south = firm.branches.values()
        waiting = north.order()
        with Ledger.open(firm.ledger_url) as ledger:
            ledger.stores.ensure("north", site=str(north.sandbox.ready["instance_id"]), wix_url=north.tap.url)
            if trouble == "is-spent":
                until = datetime.now(UTC) + timedelta(minutes=10)
                ledger.budget.block(str(north.sandbox.ready["instance_id"]), until=until)
        if trouble == "hangs":
            north.fault("search-orders", "get-order", "list", "list-by-ids", "create", times=50, delay=30, status=503)
        if trouble == "refuses":
            north.fault("token", times=200, status=401)
        with firm.serve() as service:
            north.order()
            north.ship(service, waiting, number())
            wait_for(lambda: trouble == "is-spent" or north.tap.passed, what="the north is asked")

            began, order_id = time.monotonic(), south.order()
            firm.until("south", order_id, State.WAITING_NUMBER)
            approved = time.monotonic() - began
            south.ship(service, order_id, number())
            firm.until("south", order_id, State.CREATED)
            shipped = time.monotonic() - began

            assert north.fulfillments(waiting) == []
            service.kill()

    assert approved < 5, approved
    assert shipped < 10, shipped


def test_two_stores_of_one_instance_share_their_budget_and_nothing_else(firm: Company, north: Branch) -> None:
    """One app instance is one site, whatever a store is called: its calls are counted together, its rows apart."""
    (config,) = (firm.shell.folder / "parcelhook.toml").read_text().split("[stores.south]")[:1]
    names, order_id = ("main", "second"), north.order(quantity=2)
    for name in names:
        config += f'\n[stores.{name}]\nwix_url = "{north.tap.url}"\napp = "ours"\n'
        config += f'instance_id = "{north.sandbox.ready["instance_id"]}"\n'
    url = f"sqlite:///{firm.shell.folder / 'shared.sqlite'}"
    path = firm.shell.write("shared.toml", config.replace(firm.ledger_url, url))

    for name, its in zip(names, (number(), number()), strict=True):
        arguments = ("--config", str(path), "--store", name, "fulfill", order_id, "--carrier", "dhl", "--number", its)
        assert firm.shell.json(*arguments, "--item", f"{LINE}:1")["state"] == "CREATED"

    with Ledger.open(url) as ledger:
        rows = ledger.shipments.find(order_id=order_id)
        calls = sum(len(ledger.calls.find(name)) for name in names)
    assert {row.store for row in rows} == set(names)
    with closing(sqlite3.connect(firm.shell.folder / "shared.sqlite")) as connection:
        ((site, counted),) = connection.execute("SELECT site, calls FROM call_budget")
    assert site == north.sandbox.ready["instance_id"]
    assert len(json.loads(counted)) == calls
    served = firm.shell.run("--config", str(path), "serve", "--port", "0")
    assert served.exit_code == 6
    assert "the stores main and north are the same site at Wix" in served.stderr
    assert APP["app_secret"] not in served.output
