"""An operator's command line on a store: a sandbox in a thread, and commands in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from click.testing import Result

from cli_runs import Shell
from parcelhook.sandbox import Running

LINE = "00000000-0000-0000-0000-000000000001"
LINE_2 = "00000000-0000-0000-0000-000000000002"
LEDGER = "parcelhook.sqlite"
TOKEN = "the-token-of-the-shipments"

Json = dict[str, Any]


@dataclass
class Operator:
    """Someone at the command line of one store, who also sees the store from outside."""

    shell: Shell
    sandbox: Running
    http: httpx.Client
    orders: list[str] = field(default_factory=list)
    calls_before: int = 0

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Work the sandbox's controls."""
        return self.http.request(method, f"/_sandbox/{path}", json=body).raise_for_status().json()

    def order(self, *, quantity: int = 1, items: list[Json] | int | None = None, **order: object) -> str:
        """Make one order, of one line item unless ``items`` says otherwise."""
        wanted = {"count": 1, "items": items or [{"quantity": quantity}], "order": order}
        self.orders += self.control("POST", "orders", wanted)["order_ids"]
        return self.orders[-1]

    def fault(self, route: str, **settings: object) -> None:
        """Let a fault befall the next calls of a route."""
        self.control("POST", "faults", {"route": route, **settings})

    def fulfillments(self, order_id: str) -> list[Json]:
        """Look at an order's fulfillments in the store itself."""
        found: list[Json] = self.control("GET", "fulfillments")[order_id]
        return found

    def writes(self) -> list[str]:
        """Give the calls that were to change an order of this operator's since the last time this was asked."""
        made = self.sandbox.sandbox.calls.made
        new, self.calls_before = made[self.calls_before :], len(made)
        about = [call for call in new if any(order_id in str(call["path"]) for order_id in self.orders)]
        return [str(call["method"]) for call in about if call["method"] != "GET"]

    def run(self, *arguments: str) -> Result:
        """Run a command."""
        return self.shell.run(*arguments)

    def json(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - whatever JSON it is
        """Run a command with --json and give the one value it prints."""
        result = self.shell.run("--json", *arguments)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def refused(self, *arguments: str, code: int = 2) -> str:
        """Run a command that must be refused, in plain words, and give them."""
        result = self.run(*arguments)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        assert "internal error" not in result.output
        return result.stderr

    def sets(self, **variables: str) -> Mapping[str, str]:
        """Set PARCELHOOK_ variables, and give those that were set before."""
        before = self.shell.variables
        given = {f"PARCELHOOK_{name}": value for name, value in variables.items()}
        self.shell = replace(self.shell, variables={**before, **given})
        return before

    @property
    def ledger(self) -> Path:
        """Give the ledger's file."""
        return self.shell.folder / LEDGER

    @property
    def ledger_url(self) -> str:
        """Give the ledger's URL."""
        return f"sqlite:///{self.ledger}"

    def secrets(self) -> list[str]:
        """Give what must never be printed."""
        ready = self.sandbox.ready
        tokens = list(self.sandbox.sandbox.gate._tokens)
        return [TOKEN, str(ready["app_secret"]), str(ready["api_key"]), *tokens]


def number() -> str:
    """Give a tracking number nobody had before."""
    return str(uuid4().int)[:12]


def variables(sandbox: Running, **changes: str) -> Mapping[str, str]:
    """Give what a command is told to work a store as an app."""
    names = {name: name.lower() for name in ("URL", "APP_ID", "APP_SECRET", "INSTANCE_ID", "PUBLIC_KEY_FILE")}
    given = {f"PARCELHOOK_WIX_{name}": str(sandbox.ready[key]) for name, key in names.items()}
    return {**given, "PARCELHOOK_TOKEN": TOKEN, "PARCELHOOK_SETTLE_SECONDS": "60", **changes}
