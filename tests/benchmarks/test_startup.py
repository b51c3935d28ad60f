"""How long the command line takes to begin, beside the library it is made with."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

ROUNDS = 15


def seconds(*arguments: str) -> float:
    """Time one process from start to end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin


@pytest.mark.benchmark
def test_the_version_is_told_in_little_more_than_click_takes_to_import(capsys: pytest.CaptureFixture[str]) -> None:
    """Processes of both take turns, so that a busy machine slows both, and the best round of each counts."""
    program = "import sys; sys.argv[0] = 'parcelhook'; from parcelhook.cli import main; main()"
    rounds = [(seconds("-c", program, "--version"), seconds("-c", "import click")) for _ in range(ROUNDS)]
    ours, theirs = (min(times) for times in zip(*rounds, strict=True))
    with capsys.disabled():
        print(  # noqa: T201 - a benchmark prints its ratio
            f"\nparcelhook --version: {ours * 1e3:.0f} ms, "
            f"import click {theirs * 1e3:.0f} ms: {ours / theirs:.2f} times as long"
        )

    assert ours / theirs <= 1.3
