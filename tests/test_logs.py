"""Logs are JSON lines on stderr, whoever writes them, and hold nothing that must not be shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from parcelhook import logs

SECRET = "sentinel-of-a-secret"

Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Written:
    """Give what reads the lines on stderr."""

    def read() -> list[dict[str, Any]]:
        out, err = capsys.readouterr()
        assert out == ""
        return [json.loads(line) for line in err.splitlines()]

    return read


def failing() -> None:
    """Raise an error whose text and local variables hold a secret."""
    token = SECRET
    raise ValueError(token)


def test_a_log_is_one_json_object_a_line(written: Written) -> None:
    """An entry has its text, its values, its level and the time in UTC."""
    logs.configure()

    structlog.get_logger().info("webhook kept", event_id="e-1", text="two\nlines")

    (entry,) = written()
    assert {name: entry[name] for name in ("event", "event_id", "level", "text")} == {
        "event": "webhook kept",
        "event_id": "e-1",
        "level": "info",
        "text": "two\nlines",
    }
    assert entry["timestamp"].endswith("Z")


def test_nothing_below_the_level_is_written(written: Written) -> None:
    """What is of no interest at this level is left out, of ours and of libraries."""
    logs.configure(level=logging.ERROR)

    structlog.get_logger().warning("not this")
    logging.getLogger("library").warning("nor this")

    assert written() == []


def test_an_error_is_named_without_its_text(written: Written) -> None:
    """An error that was not foreseen is logged by kind and place: its text may hold anything."""
    logs.configure()

    try:
        failing()
    except ValueError:
        structlog.get_logger().exception("sweep failed")

    (entry,) = written()
    assert (entry["event"], entry["error"]) == ("sweep failed", "ValueError")
    assert "test_logs.py:" in entry["at"]
    assert SECRET not in str(entry)


def test_an_error_given_as_a_value_is_named_too(written: Written) -> None:
    """An error that is handed over outside of its handler is named like any other."""
    logs.configure()

    structlog.get_logger().error("it went wrong", exc_info=KeyError(SECRET))

    (entry,) = written()
    assert entry["error"] == "KeyError"
    assert SECRET not in str(entry)


def test_what_a_library_logs_comes_the_same_way(written: Written) -> None:
    """A library's warning is a JSON line with its logger's name, and its error is named without its text."""
    logs.configure()

    logging.getLogger("library").info("GET https://example.com/?token=%s", SECRET)
    logging.getLogger("library").warning("it is %s", "slow")
    try:
        failing()
    except ValueError:
        logging.getLogger("library").exception("it broke")

    slow, broke = written()
    assert (slow["event"], slow["logger"], slow["level"]) == ("it is slow", "library", "warning")
    assert (broke["event"], broke["error"]) == ("it broke", "ValueError")
    assert SECRET not in str(broke)


def test_a_traceback_holds_no_local_variables(written: Written) -> None:
    """With tracebacks asked for, frames are shown, and never what their variables hold."""
    logs.configure(level=logging.DEBUG)

    try:
        failing()
    except ValueError:
        structlog.get_logger().exception("sweep failed")

    (entry,) = written()
    frames = entry["exception"][0]["frames"]
    assert frames[-1]["name"] == "failing"
    assert all(not frame.get("locals") for frame in frames)


def test_configuring_again_replaces_what_was(written: Written) -> None:
    """A second configuration does not make every line come twice."""
    logs.configure()
    logs.configure()

    logging.getLogger("library").warning("once")

    assert len(written()) == 1
