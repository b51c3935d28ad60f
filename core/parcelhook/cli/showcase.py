"""What ``parcelhook demo`` plays: a store, a warehouse, a courier, and the service between them."""

from __future__ import annotations

import csv
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from parcelhook.carrier import Carrier
from parcelhook.cli.installation import Installation
from parcelhook.cli.output import Json
from parcelhook.cli.service import Service
from parcelhook.logs import configure
from parcelhook.numbers import matches
from parcelhook.sandbox import Running, SandboxSettings, running
from parcelhook.settings import Settings

Progress: TypeAlias = Mapping[str, tuple[int, int]]

COURIER: Final = "Local Courier"
STANDARD: Final = {
    "fedex": "7{:010d}",
    "ups": "1Z40A7W903{:07d}",
    "usps": "94001118987654{:07d}",
    "dhl": "{:09d}",
    "canada-post": "4021017{:08d}",
}
"""For each predefined carrier, numbers without their check digit."""

JOURNEY: Final = "delivered"
GIVE_UP_SECONDS: Final = 90.0
POLL_SCALE: Final = 1 / 14_400
"""Four hours between two looks at a parcel become one second."""

APPROVED, BOOKED = "orders approved by signed webhook", "parcels booked by the courier's plug-in"
BY_API, BY_FILE = "numbers from the warehouse by API", "numbers from the warehouse by file, in bulk"
LINKED, OPENED = "fulfillments with a tracking link", "courier pages opened"
DELIVERED = "courier parcels followed to Fulfilled"


@dataclass
class Summary:
    """What was checked at the end."""

    orders: int
    fulfilled: int = 0
    links_ok: int = 0
    bulk_calls: int = 0
    delivered: int = 0
    webhooks: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> Json:
        """Give it as the command prints it."""
        return {
            "orders": self.orders,
            "fulfilled": self.fulfilled,
            "links_ok": self.links_ok,
            "bulk_calls": self.bulk_calls,
            "delivered": self.delivered,
            "webhooks": self.webhooks,
            "seconds": round(self.seconds, 2),
            "problems": list(self.problems),
        }


class Showcase:
    """Play the demo once; ``told`` is given how far each step has come."""

    def __init__(self, *, orders: int, told: Callable[[Progress], object] = lambda _: None) -> None:
        self._by_courier = max(1, orders * 2 // 5)
        self._standard = orders - self._by_courier
        self._summary = Summary(orders)
        self._told = told
        self._deadline = time.monotonic() + GIVE_UP_SECONDS
        self._progress = dict.fromkeys((APPROVED, BOOKED, BY_API, BY_FILE, LINKED, OPENED, DELIVERED), (0, 0))

    def run(self) -> Summary:
        """Play it, and give what came of it."""
        began = time.monotonic()
        configure(level=logging.CRITICAL)
        with tempfile.TemporaryDirectory(prefix="parcelhook-demo-") as folder, running(_sandbox()) as sandbox:
            settings = _settings(sandbox, Path(folder))
            with _serving(settings) as (service_url, installation), httpx.Client(trust_env=False, timeout=30) as http:
                _ask(http, "POST", f"{sandbox.url}/_sandbox/webhooks", {"url": f"{service_url}/webhooks"})
                courier_orders = _orders(http, sandbox, self._by_courier, {"shippingInfo": {"title": COURIER}})
                orders = _orders(http, sandbox, self._standard, {})
                self._play(http, sandbox, installation, service_url, orders=orders, folder=Path(folder))
                self._check(http, sandbox, installation, courier_orders)
        self._summary.seconds = time.monotonic() - began
        return self._summary

    def _play(
        self,
        http: httpx.Client,
        sandbox: Running,
        installation: Installation,
        service_url: str,
        *,
        orders: list[str],
        folder: Path,
    ) -> None:
        ledger = installation.ledger
        approved = "wix.ecom.v1.order_approved"

        def webhooks() -> int:
            return sum(event.event_type == approved for event in ledger.inbox.find(limit=100_000))

        self._wait(APPROVED, self._summary.orders, webhooks)
        half = len(orders) // 2
        shipments = _numbered(orders, installation)
        by_file = _fulfill_file(folder, shipments[half:], sandbox)
        for done, (order_id, carrier, number) in enumerate(shipments[:half], 1):
            body: Json = {"order_id": order_id, "carrier": carrier, "parcels": [{"tracking_number": number}]}
            _ask(http, "POST", f"{service_url}/shipments", body, token="demo")  # noqa: S106 - the demo's own
            self._tell(BY_API, done, half)
        self._wait(BOOKED, self._by_courier, lambda: len(_custom(_fulfillments(http, sandbox))))
        for fulfillment in _custom(_fulfillments(http, sandbox)):
            number = fulfillment["trackingInfo"]["trackingNumber"]
            _ask(http, "POST", f"{sandbox.url}/_sandbox/parcels/courier/{number}", {"journey": JOURNEY})
        _, errors = by_file.communicate()
        if by_file.returncode:
            self._summary.problems.append(f"fulfill --file ended with {by_file.returncode}: {errors.strip()[-300:]}")
        else:
            self._tell(BY_FILE, len(orders) - half, len(orders) - half)

    def _check(
        self, http: httpx.Client, sandbox: Running, installation: Installation, courier_orders: list[str]
    ) -> None:
        summary = self._summary

        def linked() -> int:
            every = _fulfillments(http, sandbox).values()
            return sum(len(each) == 1 and bool(each[0].get("trackingInfo", {}).get("trackingLink")) for each in every)

        def delivered() -> int:
            every = _fulfillments(http, sandbox)
            return sum(each.get("status") == "Fulfilled" for id_ in courier_orders for each in every.get(id_, []))

        summary.fulfilled = self._wait(LINKED, summary.orders, linked)
        custom = _custom(_fulfillments(http, sandbox))
        opened = [_opens(http, fulfillment) for fulfillment in custom]
        self._tell(OPENED, sum(opened), self._by_courier)
        summary.links_ok = summary.fulfilled - len(custom) + sum(opened)
        summary.delivered = self._wait(DELIVERED, self._by_courier, delivered)
        calls = _ask(http, "GET", f"{sandbox.url}/_sandbox/calls")
        summary.bulk_calls = sum(call["path"].endswith("/bulk/create-fulfillments") for call in calls)
        summary.webhooks = len(installation.ledger.inbox.find(limit=1_000_000))
        for done, wanted, what in (
            (summary.fulfilled, summary.orders, "orders have one fulfillment with its link"),
            (summary.links_ok, summary.orders, "links work"),
            (summary.delivered, self._by_courier, "parcels of the courier became Fulfilled"),
        ):
            if done != wanted:
                summary.problems.append(f"{done} of {wanted} {what}")

    def _wait(self, step: str, wanted: int, count: Callable[[], int]) -> int:
        """Wait until a step is complete, or until the demo gives up; give how far it came."""
        while True:
            done = count()
            self._tell(step, done, wanted)
            if done >= wanted or time.monotonic() > self._deadline:
                return done
            time.sleep(0.1)

    def _tell(self, step: str, done: int, wanted: int) -> None:
        self._progress[step] = (done, wanted)
        self._told(self._progress)


def _sandbox() -> SandboxSettings:
    return SandboxSettings(orders=0, rate_limit=0, time_scale=0.01)


def _settings(sandbox: Running, folder: Path) -> Settings:
    ready: Mapping[str, Any] = sandbox.ready
    store = {
        "wix_url": sandbox.url,
        "app_id": ready["app_id"],
        "app_secret": ready["app_secret"],
        "instance_id": ready["instance_id"],
        "public_key": Path(ready["public_key_file"]).read_text(encoding="ascii"),
        "token": "demo",
        "rate_limit": 100_000,
    }
    return Settings(
        stores={"default": store},
        carriers={"courier": {"host": ready["carriers"]["courier"], "key": ready["courier_key"]}},
        database_url=f"sqlite:///{folder}/ledger.sqlite",
        carriers_folder=folder / "carriers",
        poll_scale=POLL_SCALE,
    )


@contextmanager
def _serving(settings: Settings) -> Iterator[tuple[str, Installation]]:
    """Run the service in a thread, on a free port; the courier's plug-in is brought along."""
    courier = {"courier": import_module("parcelhook_courier")}
    with Installation(settings, extra_plugins=courier) as installation:
        service = Service(installation)
        ready, url = threading.Event(), []

        def on_ready(served_at: str) -> None:
            url.append(served_at)
            ready.set()

        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            thread = threading.Thread(target=service.run, args=(listener,), kwargs={"on_ready": on_ready})
            thread.start()
            try:
                ready.wait(GIVE_UP_SECONDS)
                yield url[0], installation
            finally:
                service.stop()
                thread.join()


def _numbered(orders: list[str], installation: Installation) -> list[tuple[str, str, str]]:
    """Give each order a predefined carrier and a valid number of it."""
    names = list(STANDARD)
    shipments = []
    for index, order_id in enumerate(orders):
        carrier = names[index % len(names)]
        serial = STANDARD[carrier].format(300_000 + index)
        shipments.append((order_id, carrier, _with_check_digit(installation.registry.carrier(carrier), serial)))
    return shipments


def _with_check_digit(carrier: Carrier, serial: str) -> str:
    return next(serial + digit for digit in "0123456789" if matches(carrier, serial + digit))


def _fulfill_file(folder: Path, shipments: list[tuple[str, str, str]], sandbox: Running) -> subprocess.Popen[str]:
    """Run ``parcelhook fulfill --file`` beside the service, on the same ledger, as an operator would."""
    path = folder / "numbers.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("order_id", "carrier", "tracking_number"), *shipments])
    ready: Mapping[str, Any] = sandbox.ready
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARCELHOOK_")}
    environment |= {
        "PARCELHOOK_WIX_URL": sandbox.url,
        "PARCELHOOK_WIX_APP_ID": ready["app_id"],
        "PARCELHOOK_WIX_APP_SECRET": ready["app_secret"],
        "PARCELHOOK_WIX_INSTANCE_ID": ready["instance_id"],
        "PARCELHOOK_DATABASE_URL": f"sqlite:///{folder}/ledger.sqlite",
    }
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "parcelhook", "fulfill", "--file", str(path), "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _orders(http: httpx.Client, sandbox: Running, count: int, order: Json) -> list[str]:
    if not count:
        return []
    answer = _ask(http, "POST", f"{sandbox.url}/_sandbox/orders", {"count": count, "order": order})
    return list(answer["order_ids"])


def _fulfillments(http: httpx.Client, sandbox: Running) -> dict[str, list[dict[str, Any]]]:
    return dict(_ask(http, "GET", f"{sandbox.url}/_sandbox/fulfillments"))


def _custom(fulfillments: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [
        each
        for every in fulfillments.values()
        for each in every
        if each.get("trackingInfo", {}).get("shippingProvider") == COURIER
    ]


def _opens(http: httpx.Client, fulfillment: Mapping[str, Any]) -> bool:
    """Tell whether the link leads to the parcel's own page."""
    info = fulfillment["trackingInfo"]
    page = http.get(info["trackingLink"])
    return page.status_code == httpx.codes.OK and info["trackingNumber"] in page.text


def _ask(http: httpx.Client, method: str, url: str, body: Json = None, *, token: str = "") -> Any:  # noqa: ANN401
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = http.request(method, url, json=body, headers=headers)
    answer.raise_for_status()
    return answer.json()
