"""``parcelhook demo`` shows all of it, and says so only where it is true."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from parcelhook.cli import showcase


def test_the_demo_ships_every_order_and_checks_it() -> None:
    """Every order gets its fulfillment and link, and every courier parcel arrives."""
    answer = subprocess.run(
        [sys.executable, "-m", "parcelhook", "demo", "--orders", "12", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert answer.returncode == 0, answer.stderr
    summary = json.loads(answer.stdout)
    assert summary["problems"] == []
    assert (summary["orders"], summary["fulfilled"], summary["links_ok"], summary["delivered"]) == (12, 12, 12, 4)
    assert summary["webhooks"] >= 12
    assert summary["bulk_calls"] >= 1


def test_the_demo_fails_where_a_status_does_not_arrive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the courier's parcels go back to the sender, the summary names the problem."""
    monkeypatch.setattr(showcase, "GIVE_UP_SECONDS", 12.0)
    monkeypatch.setattr(showcase, "JOURNEY", "returned")

    summary = showcase.Showcase(orders=2).run()

    assert summary.fulfilled == 2
    assert any("became Fulfilled" in problem for problem in summary.problems)
    assert not capsys.readouterr().err
