"""The house stands: imports run one way, plug-ins use the front door, and every part stays small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import parcelhook
from parcelhook import errors

ROOT: Final = Path(__file__).parents[1]
CORE: Final = ROOT / "core"
PLUGINS: Final = ROOT / "plugins"

FLOORS: Final = (
    {"errors", "models", "definition", "carrier", "mistakes", "patterns"},
    {"numbers", "links", "statuses", "context", "hookspecs"},
    {
        *{"settings", "settings_sources", "logs", "plugin_log"},
        *{"http", "answer", "inflate", "contexts"},
        *{"registry", "plugins", "ownership", "implementations", "boundary", "threads"},
        *{"wix", "ledger"},
    },
    {"fulfillment", "tracking"},
    {"engine", "flows", "sweeper", "web"},
    {"cli", "__main__"},
)
"""What stands on which floor, from the ground up; a module uses its own floor and those below."""

APART: Final = {"sandbox", "testing"}
MAX_MODULE_LINES: Final = 500
MAX_FUNCTION_LINES: Final = 60
MEANINGLESS_NAMES: Final = {"utils", "util", "helpers", "helper", "base", "common", "manager", "misc"}
FORBIDDEN_IN_HELP: Final = {"httpx", "pydantic", "sqlalchemy", "dbos", "alembic", "starlette", "uvicorn"}


def name_of(path: Path) -> str:
    """Give the dotted name a file is imported by."""
    source = CORE if path.is_relative_to(CORE) else PLUGINS
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


FILES: Final = {name_of(path): path for root in (CORE, PLUGINS) for path in sorted(root.rglob("*.py"))}
CORE_NAMES: Final = {name for name in FILES if name.partition(".")[0] == "parcelhook"}
PLUGIN_NAMES: Final = set(FILES) - CORE_NAMES
MIGRATIONS: Final = {name for name in CORE_NAMES if ".migrations.versions." in name}
"""A migration lists columns: it is as long as a table is wide."""


@cache
def tree_of(name: str) -> ast.Module:
    """Give a module's syntax tree."""
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def _used_of_the_root(name: str) -> list[str]:
    """Give the names a module that says ``import parcelhook`` uses of it, as in ``parcelhook.__version__``."""
    attributes = [node for node in ast.walk(tree_of(name)) if isinstance(node, ast.Attribute)]
    return [used.attr for used in attributes if isinstance(used.value, ast.Name) and used.value.id == "parcelhook"]


def imports_of(name: str) -> Iterator[tuple[str, str]]:
    """Give what a module imports of this distribution, inside functions too: a module, and a name of it or nothing."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names if alias.name != "parcelhook"]
            found += [("parcelhook", used) for used in _used_of_the_root(name) if len(found) < len(node.names)]
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module or "") if part)
            found = [(module, alias.name) for alias in node.names]
        else:
            continue
        for module, imported in found:
            if module.partition(".")[0].partition("_")[0] == "parcelhook":
                whole = f"{module}.{imported}"
                yield (whole, "") if whole in FILES else (module, imported)


def part_of(name: str) -> str:
    """Give the module or package directly under ``parcelhook`` that a module belongs to, or nothing for the root."""
    return name.split(".")[1] if "." in name else ""


def floor_of(part: str) -> int:
    """Give the floor a part stands on, counted from 1."""
    return next(number for number, parts in enumerate(FLOORS, start=1) if part in parts)


def test_every_part_has_its_place() -> None:
    """A new module of the core is given a floor, and none is named that does not exist."""
    assert {part_of(name) for name in CORE_NAMES} - {""} == set().union(*FLOORS) | APART


@pytest.mark.parametrize("name", sorted(name for name in CORE_NAMES if part_of(name) not in {"", *APART}))
def test_no_floor_uses_a_higher_one(name: str) -> None:
    """Imports run one way, lazily or otherwise; only the command line opens what stands apart."""
    floor = floor_of(part_of(name))
    for module, imported in imports_of(name):
        part = part_of(module)
        if part in APART:
            assert floor == len(FLOORS), f"{name} imports {module}"
        elif part:
            assert floor_of(part) <= floor, f"{name} imports {module}, a floor above"
        else:
            assert imported == "__version__", f"{name} imports parcelhook.{imported}, which is for plug-ins"


def test_no_imports_run_in_a_circle() -> None:
    """Every module of the core can be understood after those it imports."""
    graph = {name: {module for module, _ in imports_of(name)} - {name} for name in CORE_NAMES}

    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert set(order) == CORE_NAMES


def test_the_sandbox_shares_no_code_with_what_it_tests() -> None:
    """The Wix store on loopback is made after the contract alone."""
    used = {module for name in CORE_NAMES if part_of(name) == "sandbox" for module, _ in imports_of(name)}

    assert {part_of(module) for module in used} <= {"sandbox"}


@pytest.mark.parametrize("name", sorted(PLUGIN_NAMES))
def test_a_plug_in_uses_the_front_door_only(name: str) -> None:
    """A built-in carrier imports the public names a stranger's would, and never another plug-in."""
    for module, imported in imports_of(name):
        if module == "parcelhook":
            assert imported in parcelhook.__all__
        else:
            assert module.partition(".")[0] == name.partition(".")[0], f"{name} imports {module}"


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_module_is_small_and_named_after_what_it_holds(name: str) -> None:
    """A module of more than 500 lines is two things, a function of more than 60 lines several."""
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES
    assert not MEANINGLESS_NAMES & set(re.split(r"[._]", name))
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name not in MIGRATIONS:
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{name}.{node.name} has {length} lines"


def test_the_error_tree_is_drawn_as_it_grows() -> None:
    """Every error stands in the drawing under its parent, with the exit code it has."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)(?:\s+exit (\d))?\s{2,}\S", line)
        if found is None:
            continue
        depth, error, exit_code = len(found[1]) // 4, found[2], found[3]
        above[depth:] = [error]
        drawn[error] = above[depth - 1] if depth else "Exception"
        if exit_code:
            assert vars(errors)[error].exit_code == int(exit_code)

    assert drawn == {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }


def test_help_costs_no_heavy_import() -> None:
    """Asking for help loads neither HTTP, models, databases nor a plug-in."""
    code = (
        "import sys\n"
        "from parcelhook.cli import main\n"
        "sys.argv = ['parcelhook', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & FORBIDDEN_IN_HELP
    assert not [name for name in loaded if name.startswith("parcelhook_")]


def test_importing_parcelhook_costs_next_to_nothing() -> None:
    """The public names are loaded when they are first used."""
    code = "import sys, parcelhook; print(*(name for name in sys.modules if name.startswith('parcelhook')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["parcelhook"]
