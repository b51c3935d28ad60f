"""``sandbox``: a Wix store in a process of its own."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from cli_runs import Shell, open_shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell without any store."""
    return open_shell(tmp_path, monkeypatch)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_when_it_is_ready_and_stops_when_told(shell: Shell, number: signal.Signals) -> None:
    """One line of JSON says what a client needs; a signal ends it with 0 and without a word."""
    with shell.process("sandbox", "--json", "--orders", "3", "--rate-limit", "0") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        answer = httpx.get(f"{ready['url']}/_sandbox/calls")
        process.send_signal(number)
        out, err = process.communicate()

    wanted = {"url", "app_id", "app_secret", "instance_id", "public_key_file", "carriers", "order_ids"}
    assert wanted <= set(ready)
    assert len(ready["order_ids"]) == 3
    assert answer.status_code == 200
    assert (process.returncode, out, err) == (0, "", "")


def test_people_get_variables_to_copy(shell: Shell) -> None:
    """Without --json the variables of the store are shown, ready for a shell."""
    with shell.process("sandbox") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]

    assert "A Wix store is ready at http://127.0.0.1:" in lines[0]
    for name in ("WIX_URL", "WIX_APP_ID", "WIX_APP_SECRET", "WIX_INSTANCE_ID", "WIX_PUBLIC_KEY_FILE"):
        assert any(line.startswith(f"  export PARCELHOOK_{name}=") for line in lines)


def test_a_port_in_use_is_an_input_error(shell: Shell) -> None:
    """A port that somebody listens on is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        error = shell.json("sandbox", "--port", port, code=2)["error"]

    assert error["field"] == "--port"
    assert port in error["message"]


def test_variables_that_cannot_be_written_are_an_input_error(shell: Shell) -> None:
    """A file of variables in a folder that is not there is refused by name."""
    error = shell.json("sandbox", "--env", "none/env.sh", code=2)["error"]

    assert error["field"] == "--env"
    assert "none/env.sh" in error["message"]
