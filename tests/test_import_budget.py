"""What a command may import: help costs click, numbers and links cost models, and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli_runs import NUMBER, Shell, open_shell
from parcelhook.cli.group import COMMANDS

HEAVY = {"httpx", "pydantic", "sqlalchemy", "alembic", "dbos", "rich", "uvicorn", "starlette", "joserfc", "structlog"}
NAMES = sorted(name for section in COMMANDS.values() for name in section)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell without any store."""
    return open_shell(tmp_path, monkeypatch)


def loaded(shell: Shell, *arguments: str) -> set[str]:
    """Run a command in a fresh process, and give the modules it left behind by their full names."""
    program = (
        "import sys\n"
        "from parcelhook.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=shell.folder,
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def packages(modules: set[str]) -> set[str]:
    """Give the outermost names of modules."""
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], *([name, "--help"] for name in NAMES)], ids=" ".join)
def test_help_imports_nothing_heavy(shell: Shell, arguments: list[str]) -> None:
    """Neither the version nor any help loads HTTP, models, databases, tables or a plug-in."""
    found = packages(loaded(shell, *arguments))

    assert not found & HEAVY
    assert not [name for name in found if name.startswith("parcelhook_")]


def test_help_imports_no_command(shell: Shell) -> None:
    """The list of commands is shown from its table alone."""
    found = loaded(shell, "--help")

    assert not {f"parcelhook.cli.{name}" for name in NAMES} & found


@pytest.mark.parametrize("arguments", [["identify", NUMBER], ["link", "acme", NUMBER], ["carriers", "show", "acme"]])
def test_numbers_and_links_need_neither_database_nor_http(shell: Shell, arguments: list[str]) -> None:
    """Whoever asks for a carrier or a link does not wait for ledger, engine, HTTP or a terminal's tables."""
    found = packages(loaded(shell, *arguments))

    assert not found & (HEAVY - {"pydantic"})


def test_a_command_about_one_carrier_imports_one_plug_in(shell: Shell) -> None:
    """The entry point's name says whose carrier it is, so the other plug-ins stay asleep."""
    found = {name for name in packages(loaded(shell, "link", "fedex", "123")) if name.startswith("parcelhook_")}

    assert found == {"parcelhook_fedex"}
