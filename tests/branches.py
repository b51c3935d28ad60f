"""One store or several in one installation: a sandbox and a tap for each, one configuration, ledger and service."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from cli_runs import ROOT, Shell, open_shell
from parcelhook.ledger import Ledger, ShipmentRow
from parcelhook.ledger.states import State
from parcelhook.sandbox import Running, SandboxSettings, running
from processes import GIVE_UP_SECONDS, wait_for
from processes import Running as Process
from processes import running as process
from wire_tap import Tap, tapped

NAMES: Final = ("north", "south")
APP: Final = {"app_id": str(uuid4()), "app_secret": "the-secret-of-the-app-4711"}

Json = dict[str, Any]


@dataclass
class Branch:
    """One store of several: its sandbox, what passed on the wire to it, and the token of its own programs."""

    name: str
    sandbox: Running
    tap: Tap
    http: httpx.Client
    token: str

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Work the sandbox's controls."""
        return self.http.request(method, f"/_sandbox/{path}", json=body).raise_for_status().json()

    def order(self, *, quantity: int = 1, **order: object) -> str:
        """Make one order; its id and number may be those of an order elsewhere."""
        wanted = {"count": 1, "items": [{"quantity": quantity}], "order": order}
        return str(self.control("POST", "orders", wanted)["order_ids"][0])

    def fault(self, *routes: str, **settings: object) -> None:
        """Let a fault befall the next calls of some routes."""
        for route in routes:
            self.control("POST", "faults", {"route": route, **settings})

    def by_hand(self, method: str, path: str, body: object = None) -> Json:
        """Do something to the fulfillments as the merchant does, past the tap."""
        ready = self.sandbox.ready
        headers = {"authorization": str(ready["api_key"]), "wix-site-id": str(ready["site_id"])}
        answer = self.http.request(method, f"/ecom/v1/fulfillments/{path}", json=body, headers=headers)
        result: Json = answer.raise_for_status().json()
        return result

    def fulfillments(self, order_id: str) -> list[Json]:
        """Look at an order's fulfillments in the store itself."""
        found: list[Json] = self.control("GET", "fulfillments").get(order_id, [])
        return found

    def tokens(self) -> set[str]:
        """Give every access token this store's Wix gave out."""
        return set(self.sandbox.sandbox.gate._tokens)

    def ship(self, service: Process, order_id: str, number: str, **body: object) -> httpx.Response:
        """Tell the service an order's number, as this store's program does."""
        wish = {"order_id": order_id, "carrier": "dhl", "parcels": [{"tracking_number": number}], **body}
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.post(f"{service.url}/shipments", json=wish, headers=headers, timeout=GIVE_UP_SECONDS)


@dataclass
class Company:
    """An operator with several stores in one installation."""

    shell: Shell
    branches: Mapping[str, Branch]
    variables: Mapping[str, str]
    ledger_url: str

    @property
    def one(self) -> Branch:
        """Give the only store."""
        (branch,) = self.branches.values()
        return branch

    @contextmanager
    def serve(self, *options: str) -> Iterator[Process]:
        """Run the service in a process of its own, and let every store's webhooks reach it."""
        variables = {**self.shell.variables, **self.variables}
        with process("serve", "--port", "0", *options, folder=self.shell.folder, variables=variables) as served:
            hook = {"url": f"{served.url}/webhooks"}
            for branch in self.branches.values():
                branch.control("POST", "webhooks", hook)
            try:
                yield served
            finally:
                for branch in self.branches.values():
                    branch.control("DELETE", "webhooks", hook)
                    branch.control("DELETE", "faults")

    def rows(self, store: str | None, order_id: str, *states: State) -> list[ShipmentRow]:
        """Read an order's shipments from the ledger, of one store or of all."""
        with Ledger.open(self.ledger_url) as ledger:
            return ledger.shipments.find(store=store, order_id=order_id, states=states)

    def until(self, store: str, order_id: str, state: State) -> ShipmentRow:
        """Wait until an order's shipment is in a state, and give it."""
        (row,) = wait_for(lambda: self.rows(store, order_id, state), what=f"{store}'s order is {state}")
        return row


def twins(branches: Mapping[str, Branch], **order: object) -> str:
    """Make an order of one id and number in every store: one piece in the first, one more in each that follows."""
    order_id, number = str(uuid4()), str(uuid4().int)[:6]
    for quantity, branch in enumerate(branches.values(), start=1):
        branch.order(quantity=quantity, id=order_id, number=number, **order)
    return order_id


def number() -> str:
    """Give a tracking number nobody had before."""
    return str(uuid4().int)[:10]


@contextmanager
def company(
    folder: Path,
    *,
    names: Sequence[str] = NAMES,
    ledger_url: str = "",
    rules: str = "",
    plugins: Mapping[str, str] = MappingProxyType({}),
    **variables: str,
) -> Iterator[Company]:
    """Open stores of one app in one installation, each with a courier and an account at it of its own.

    ``plugins`` are the sources of further plug-ins, by carrier's id.
    """
    with ExitStack() as closing, pytest.MonkeyPatch.context() as patches:
        branches = {name: _branch(name, closing) for name in names}
        first, *others = branches.values()
        for other in others:
            # One app has one key, whichever store its webhooks are about.
            other.sandbox.sandbox.deliverer._signer = first.sandbox.sandbox.signer
        shell = open_shell(folder, patches, PARCELHOOK_SETTLE_SECONDS="1", **variables)
        _install(folder / "site", "courier", module="parcelhook_courier")
        for carrier, source in plugins.items():
            (folder / "site" / f"plugin_{carrier}.py").write_text(source, encoding="utf-8")
            _install(folder / "site", carrier, module=f"plugin_{carrier}")
        path = ":".join(str(each) for each in (folder / "site", ROOT / "core", ROOT / "plugins"))
        url = ledger_url or f"sqlite:///{shell.folder / 'ledger.sqlite'}"
        made = Company(shell, branches, {"PYTHONPATH": path}, url)
        shell.write("parcelhook.toml", _configuration(made, rules))
        yield made


def _branch(name: str, closing: ExitStack) -> Branch:
    # A busy machine may take longer than Wix allows, and then the webhook comes again after a minute only.
    settings = SandboxSettings(rate_limit=0, webhook_deadline=20, **APP)  # type: ignore[arg-type] # texts all
    sandbox = closing.enter_context(running(settings))
    tap = closing.enter_context(tapped(sandbox.url))
    http = closing.enter_context(httpx.Client(base_url=sandbox.url, timeout=GIVE_UP_SECONDS))
    return Branch(name, sandbox, tap, http, token=f"token-of-{name}-{uuid4().hex}")


def _install(folder: Path, carrier: str, *, module: str) -> None:
    """Install a plug-in as a stranger's package is: by its entry point."""
    info = folder / f"{carrier}_of_tests-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {carrier}-of-tests\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[parcelhook]\n{carrier} = {module}\n", encoding="utf-8")


def _configuration(made: Company, rules: str) -> str:
    (first, *_) = made.branches.values()
    public_key = first.sandbox.sandbox.signer.public_pem().decode()
    tables = [f"database_url = {json.dumps(made.ledger_url)}"]
    tables += ["[apps.ours]", *_lines({**APP, "public_key": public_key})]
    for name, branch in made.branches.items():
        ready = branch.sandbox.ready
        its = {"app": "ours", "wix_url": branch.tap.url, "instance_id": ready["instance_id"], "token": branch.token}
        account = {"host": f"{branch.tap.url}/courier", "key": ready["courier_key"]}
        tables += [f"[stores.{name}]", *_lines(its), f"[stores.{name}.carriers.courier]", *_lines(account)]
    return "\n".join([*tables, rules])


def _lines(values: Mapping[str, object]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in values.items()]
