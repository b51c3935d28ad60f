"""The service and a sandbox as processes of their own: started, looked at from outside, and ended whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from cli_runs import ROOT

GIVE_UP_SECONDS: Final = 40.0
TOKEN: Final = "a-token-of-the-shop"

Json = dict[str, Any]
T = TypeVar("T")


def wait_for(look: Callable[[], T], *, what: str) -> T:
    """Look again and again until there is something, and give it."""
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.03)
    msg = f"in vain: {what}"
    raise AssertionError(msg)


@dataclass
class Running:
    """A process of the command line that said it was ready."""

    process: subprocess.Popen[bytes]
    ready: Json
    log: Path

    @property
    def url(self) -> str:
        """Give where it listens."""
        return str(self.ready["url"])

    def end(self) -> int:
        """Tell it to stop, and give its exit code."""
        self.process.terminate()
        return self.process.wait(GIVE_UP_SECONDS)

    def kill(self) -> None:
        """End it at once, whatever it is about."""
        self.process.kill()
        self.process.wait(GIVE_UP_SECONDS)


def spawn(*arguments: str, variables: dict[str, str], out: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a command with these PARCELHOOK_ variables and no others; its output goes to files."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PARCELHOOK_")}
    with out.open("wb") as stdout, log.open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "parcelhook", *arguments],
            cwd=out.parent,
            env={**others, "PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT / "plugins")]), **variables},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )


@contextmanager
def running(*arguments: str, folder: Path, variables: dict[str, str] | None = None) -> Iterator[Running]:
    """Run a command that serves, from its ready line on, and end it afterwards."""
    out, log = folder / f"{arguments[0]}.out", folder / f"{arguments[0]}.log"
    process = spawn("--json", *arguments, variables=variables or {}, out=out, log=log)
    try:

        def ready_line() -> str:
            assert process.poll() is None, log.read_text()
            line = out.read_text()
            return line if line.endswith("\n") else ""

        yield Running(process, json.loads(wait_for(ready_line, what=f"{arguments[0]} is ready")), log)
    finally:
        process.kill()
        process.wait(GIVE_UP_SECONDS)


@dataclass
class SandboxProcess:
    """A store in a process of its own, worked through its controls."""

    ready: Json
    http: httpx.Client

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Work the sandbox's controls."""
        return self.http.request(method, f"/_sandbox/{path}", json=body).raise_for_status().json()

    def order(self, **order: object) -> str:
        """Make one order."""
        return str(self.control("POST", "orders", {"count": 1, "order": order})["order_ids"][0])

    def fault(self, route: str, **settings: object) -> None:
        """Let a fault befall the next call of a route."""
        self.control("POST", "faults", {"route": route, **settings})

    def faults(self) -> Json:
        """Count the faults that no call has met yet, by route."""
        waiting: Json = self.control("GET", "faults")["waiting"]
        return waiting

    def fulfillments(self, order_id: str) -> list[Json]:
        """Look at an order's fulfillments in the store itself."""
        found: list[Json] = self.control("GET", "fulfillments")[order_id]
        return found

    def creates(self, order_id: str) -> int:
        """Count the calls that were to create a fulfillment of an order."""
        made: list[Json] = self.control("GET", "calls")
        return sum(order_id in str(call["path"]) and "create" in str(call["path"]) for call in made)

    def variables(self, ledger: str, *, with_key: bool = False) -> dict[str, str]:
        """Give what a command is told to work this store, as an app or with an API key."""
        secret = {"API_KEY": "api_key", "SITE_ID": "site_id"}
        app = {
            "APP_ID": "app_id",
            "APP_SECRET": "app_secret",
            "INSTANCE_ID": "instance_id",
            "PUBLIC_KEY_FILE": "public_key_file",
        }
        names = {"URL": "url", **(secret if with_key else app)}
        return {
            **{f"PARCELHOOK_WIX_{name}": str(self.ready[key]) for name, key in names.items()},
            "PARCELHOOK_TOKEN": TOKEN,
            "PARCELHOOK_DATABASE_URL": ledger,
            "PARCELHOOK_SETTLE_SECONDS": "1",
        }


@contextmanager
def sandbox_process(folder: Path) -> Iterator[SandboxProcess]:
    """Run a store without orders and without a rate limit."""
    with (
        running("sandbox", "--orders", "0", "--rate-limit", "0", folder=folder) as served,
        httpx.Client(base_url=served.url, timeout=GIVE_UP_SECONDS) as http,
    ):
        yield SandboxProcess(served.ready, http)


@dataclass
class Service:
    """A service with a ledger of its own on a store that others share; it may be started more than once."""

    sandbox: SandboxProcess
    folder: Path
    variables: dict[str, str]

    @contextmanager
    def serve(self, *options: str, webhooks: bool = True) -> Iterator[Running]:
        """Run the service, and let the store's webhooks reach it."""
        with running("serve", "--port", "0", *options, folder=self.folder, variables=self.variables) as served:
            hook = {"url": f"{served.url}/webhooks"}
            if webhooks:
                self.sandbox.control("POST", "webhooks", hook)
            try:
                yield served
            finally:
                self.sandbox.control("DELETE", "webhooks", hook)
                self.sandbox.control("DELETE", "faults")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command on the same ledger."""
        out, log = self.folder / "command.out", self.folder / "command.log"
        log.unlink(missing_ok=True)
        process = spawn(*arguments, variables=self.variables, out=out, log=log)
        try:
            code = process.wait(GIVE_UP_SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, out.read_text(), log.read_text())

    def ship(self, served: Running, order_id: str, number: str, **body: object) -> httpx.Response:
        """Tell the service an order's number, as another program does."""
        wish = {"order_id": order_id, "carrier": "dhl", "parcels": [{"tracking_number": number}], **body}
        headers = {"authorization": f"Bearer {TOKEN}"}
        return httpx.post(f"{served.url}/shipments", json=wish, headers=headers, timeout=GIVE_UP_SECONDS)
