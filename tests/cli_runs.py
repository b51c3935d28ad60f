"""Run the command line: in this process for what it says, in a process of its own for how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from parcelhook.cli.group import parcelhook

ROOT: Final = Path(__file__).parents[1]
SECRET: Final = "s3cret-value-4711"

ACME: Final = r"""
id = "acme"
name = "Acme Couriers"
countries = ["IL"]
link = "https://track.acme.example/parcel/{number}?zip={postal_code}"
landing_page = "https://track.acme.example/"

[[numbers]]
service = "Acme Express"
pattern = '(?P<prefix>AC)(?P<serial>\d{8})(?P<check>\d)'
check_digit = { algorithm = "mod10_weighted", weights = [3, 1] }

[statuses]
"10" = "pre_transit"
"31" = { status = "exception", reason = "address" }
"25" = "info"
"""

NUMBER: Final = "AC123456782"


@dataclass(frozen=True)
class Shell:
    """An operator's shell: a folder, variables, and the command line in it."""

    folder: Path
    variables: Mapping[str, str]

    def run(self, *arguments: str, stdin: str | bytes | None = None) -> Result:
        """Run a command in this process."""
        return CliRunner(env=dict(self.variables)).invoke(parcelhook, list(arguments), input=stdin)

    def json(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Run a command with --json and give the one value it prints."""
        result = self.run("--json", *arguments, stdin=stdin)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command in a process of its own, and end it afterwards."""
        process = subprocess.Popen(
            [sys.executable, "-m", "parcelhook", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            with process:
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            process.wait()

    def environment(self) -> dict[str, str]:
        """Give the variables of a process, and no others of parcelhook's."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("PARCELHOOK_")}
        return {**others, "PYTHONPATH": os.pathsep.join(sys.path), **self.variables}

    def write(self, name: str, text: str) -> Path:
        """Write a file in the shell's folder."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def install_built_ins(folder: Path) -> None:
    """Describe parcelhook's own entry points in a folder, for a checkout that is used without being installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = [f"{name} = {module}" for name, module in project["entry-points"]["parcelhook"].items()]
    info = folder / "parcelhook-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parcelhook\nVersion: 0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("\n".join(["[parcelhook]", *points, ""]), encoding="utf-8")


def open_shell(folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Shell:
    """Work in a folder with the built-in carriers, and one more of the operator's own."""
    for name in [name for name in os.environ if name.startswith("PARCELHOOK_")]:
        monkeypatch.delenv(name)
    (folder / "home").mkdir()
    install_built_ins(folder / "site")
    monkeypatch.syspath_prepend(str(folder / "site"))
    monkeypatch.chdir(folder / "home")
    shell = Shell(folder / "home", variables)
    shell.write("carriers/acme.toml", ACME)
    return shell
