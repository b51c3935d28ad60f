"""The fixtures of commands on a store, beside those of ``stores``: an operator."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

from cli_runs import open_shell
from cli_shops import LEDGER, Operator, variables
from parcelhook.engine import Engine
from parcelhook.ledger import Ledger
from parcelhook.sandbox import Running, Switches


@pytest.fixture(scope="session")
def empty_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an empty ledger and an empty engine's database beside it, to be copied for each test."""
    folder = tmp_path_factory.mktemp("empty")
    url = f"sqlite:///{folder / LEDGER}"
    Ledger.open(url).close()
    with Engine(url, executor_id="empty", flows={}):
        return folder


@pytest.fixture
def operator(
    sandbox: Running, empty_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    """Give an operator in a folder with an empty ledger, the built-in carriers and no open ends."""
    shell = open_shell(tmp_path, monkeypatch, **variables(sandbox))
    for file in empty_files.iterdir():
        shutil.copy(file, shell.folder / file.name)
    with httpx.Client(base_url=sandbox.url) as http:
        made = Operator(shell, sandbox, http)
        yield made
        made.control("DELETE", "faults")
        made.control("PATCH", "switches", {switch.name: switch.default for switch in fields(Switches)})
