"""Plant one mistake at a time in numbers, links and statuses, and see that a test notices each.

``python tests/mutants.py`` plants a seeded choice, ``--all`` every mistake it knows how to make. It prints those that
survived and ends with 1 where there are any.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = {
    "numbers.py": ("test_numbers.py", "test_check_digits.py"),
    "links.py": ("test_links.py",),
    "statuses.py": ("test_statuses.py", "test_fold.py"),
}
EQUIVALENT: Final = {
    ("return False", "return False", "return None"): "only its truth is asked",
    ("if len(found) > 1:", "len(found) > 1", "len(found) >= 1"): "sorts a list of one",
    ("if len(found) > 1:", "1", "0"): "as above",
    (
        "return prefixed, self.entry.rule is not None",
        "self.entry.rule is not None",
        "self.entry.rule is None",
    ): "names the same two kinds the other way round",
    ("for place, each in zip(places, peers, strict=True):", "True", "False"): "both lists have one length",
}
"""Mistakes no test can notice: the line, the code before and after, and why."""

SECONDS: Final = 120
SURVIVED: Final = 0
NO_TESTS: Final = 5

_OTHER: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One planted mistake: where, what stood there, what stands there now, and the whole module with it."""

    module: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.before}  ->  {self.after}"


def mutants(module: str) -> list[Mutant]:
    """Give every mistake that can be planted in a module, but for those known to change nothing."""
    return list(_planted(module, _places(module)))


def sample(count: int, seed: int) -> list[Mutant]:
    """Choose mistakes, as many from each module as from the others, the same ones for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    chosen: list[Mutant] = []
    for module in TESTS:
        places = _places(module)
        chance.shuffle(places)
        chosen += islice(_planted(module, places), -(-count // len(TESTS)))
    return chosen


def _source(module: str) -> str:
    return (ROOT / "core" / "parcelhook" / module).read_text(encoding="utf-8")


def _places(module: str) -> list[tuple[int, int]]:
    nodes = enumerate(_code(ast.parse(_source(module))))
    return [(place, choice) for place, node in nodes for choice, _ in enumerate(_plants(node))]


def _planted(module: str, places: Iterable[tuple[int, int]]) -> Iterator[Mutant]:
    source = _source(module)
    lines = [line.strip() for line in source.splitlines()]
    mutants = (_mutant(module, source, place, choice) for place, choice in places)
    return (mutant for mutant in mutants if (lines[mutant.line - 1], mutant.before, mutant.after) not in EQUIVALENT)


def _mutant(module: str, source: str, place: int, choice: int) -> Mutant:
    tree = ast.parse(source)
    node = list(_code(tree))[place]
    before = ast.unparse(node)
    list(_plants(node))[choice]()
    ast.fix_missing_locations(tree)
    return Mutant(module, getattr(node, "lineno", 0), before, ast.unparse(node), ast.unparse(tree))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Walk over what decides an answer: no annotations, and no decorators, which only cache or freeze."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _code(child)


def _plants(node: ast.AST) -> Iterator[Callable[[], None]]:
    """Give the ways to make a mistake at a node, each a function that makes it."""
    match node:
        case ast.Compare(ops=operators):
            yield from (partial(_flip, operators, place) for place in range(len(operators)))
        case ast.BoolOp(op=operator) | ast.BinOp(op=operator) if type(operator) in _OTHER:
            yield lambda: setattr(node, "op", _OTHER[type(operator)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), operand))
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.UnaryOp):
            yield lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield lambda: setattr(node, "value", ast.Constant(None))
        case ast.Constant(value=bool() as value):
            yield lambda: setattr(node, "value", not value)
        case ast.Constant(value=int() as value):
            yield lambda: setattr(node, "value", value + 1)
            yield lambda: setattr(node, "value", value - 1)


def _flip(operators: list[ast.cmpop], place: int) -> None:
    other = _OTHER[type(operators[place])]()
    assert isinstance(other, ast.cmpop)
    operators[place] = other


def survives(mutant: Mutant) -> bool:
    """Run the module's tests against the mistake, in a copy of the package; tell whether they all passed."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        package = Path(folder) / "parcelhook"
        shutil.copytree(ROOT / "core" / "parcelhook", package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / mutant.module).write_text(mutant.source, encoding="utf-8")
        try:
            code = _run_tests(mutant.module, folder)
        except subprocess.TimeoutExpired:
            return False
    if code == NO_TESTS:
        msg = f"no test ran for {mutant.module}"
        raise RuntimeError(msg)
    return code == SURVIVED


def _run_tests(module: str, folder: str) -> int:
    tests = [str(ROOT / "tests" / name) for name in TESTS[module]]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0", "--noconftest"]
    command = [sys.executable, "-m", "pytest", *options, "-c", str(ROOT / "pyproject.toml"), *tests]
    environment = {
        # A mutant's own run is not measured: its folder is gone when the figures are put together.
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        "PYTHONPATH": os.pathsep.join([folder, str(ROOT / "plugins"), str(ROOT / "tests")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        command, cwd=folder, env=environment, timeout=SECONDS, check=False, capture_output=True
    ).returncode


def survivors(planted: Sequence[Mutant], *, told: Callable[[str], object] = lambda _: None) -> list[Mutant]:
    """Run the tests against each mistake, two at a time, and give those that no test noticed."""
    with ThreadPoolExecutor(2) as pool:
        alive = []
        for mutant, survived in zip(planted, pool.map(survives, planted), strict=True):
            told(f"{'SURVIVED' if survived else 'killed  '}  {mutant}")
            alive += [mutant] if survived else []
    return alive


def main() -> int:
    """Plant the mistakes asked for and tell which survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=36, help="how many mistakes to plant (default 36)")
    parser.add_argument("--seed", type=int, default=1, help="which choice of them (default 1)")
    parser.add_argument("--all", action="store_true", help="plant every mistake")
    parser.add_argument("--module", choices=TESTS, help="only in this module, every mistake")
    options = parser.parse_args()
    if options.module:
        planted = mutants(options.module)
    elif options.all:
        planted = [mutant for module in TESTS for mutant in mutants(module)]
    else:
        planted = sample(options.count, options.seed)
    alive = survivors(planted, told=print)
    print(f"{len(planted) - len(alive)} killed, {len(alive)} survived")  # noqa: T201 - this is a command
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
