"""What every command keeps to: help, exit codes, one JSON value, no traceback and no secret."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_runs import NUMBER, SECRET, Shell, open_shell
from parcelhook import __version__
from parcelhook.cli.failures import exit_code
from parcelhook.cli.group import COMMANDS, parcelhook
from parcelhook.cli.output import printable, write_table
from parcelhook.errors import (
    CarrierRefused,
    ConfigurationError,
    InputError,
    ParcelhookError,
    Undecided,
    WixForbidden,
)

ENTRIES = {name: entry for section in COMMANDS.values() for name, entry in section.items()}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Give a shell without any store."""
    return open_shell(tmp_path, monkeypatch)


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of every command, groups included."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


ALL_COMMANDS = list(commands(parcelhook))


@pytest.mark.parametrize("path", ALL_COMMANDS, ids=" ".join)
def test_every_help_renders(shell: Shell, path: tuple[str, ...]) -> None:
    """Each command and group explains itself, and takes --json."""
    result = shell.run(*path, "--help")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(['parcelhook', *path])}")
    assert "--json" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_table_of_commands_says_what_they_say(name: str) -> None:
    """The line shown without importing a command is the command's own short help."""
    command = parcelhook.get_command(click.Context(parcelhook), name)

    assert command is not None
    assert command.name == name
    assert ENTRIES[name].help.rstrip(".") == command.get_short_help_str(200).rstrip(".")


def test_help_shows_every_command(shell: Shell) -> None:
    """All commands of all sections are listed with their line."""
    shown = " ".join(shell.run("--help").stdout.split())

    for section, entries in COMMANDS.items():
        assert f"{section}:" in shown
        for name, entry in entries.items():
            assert f"{name} {entry.help}" in shown


def test_the_version_is_printed(shell: Shell) -> None:
    """--version prints name and version."""
    assert shell.run("--version").stdout == f"parcelhook {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [(["idntify"], "identify"), (["plugins", "lst"], "list"), (["--jsn", "plugins"], "--json")],
)
def test_a_typing_mistake_is_answered_with_the_nearest_name(
    shell: Shell, arguments: list[str], suggestion: str
) -> None:
    """An unknown command or option is a usage error that names the one that may be meant."""
    result = shell.run(*arguments)

    assert result.exit_code == 2
    assert f"Did you mean '{suggestion}'?" in result.stderr
    assert result.stdout == ""


def test_no_command_at_all_shows_help(shell: Shell) -> None:
    """Without a command, help is shown and the exit code says that nothing was done."""
    result = shell.run()

    assert result.exit_code == 2
    assert "Usage: parcelhook" in result.output


def test_a_group_without_a_command_shows_its_help(shell: Shell) -> None:
    """A group that lists nothing by itself explains what it has, and that is no mistake; a machine gets an error."""
    result = shell.run("plugins")
    machine = shell.run("--json", "plugins")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == shell.run("plugins", "--help").stdout
    assert machine.exit_code == 2
    assert json.loads(machine.stdout)["error"]["message"] == "Missing command."


@pytest.mark.parametrize(
    "arguments",
    [["--json", "link", "fedx", "1"], ["link", "--json", "fedx", "1"], ["link", "fedx", "1", "--json"]],
)
def test_json_is_asked_for_before_and_after_the_command(shell: Shell, arguments: list[str]) -> None:
    """With --json anywhere an error is one JSON value on stdout, beside the line for people."""
    result = shell.run(*arguments)

    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error == {
        "type": "UnknownCarrier",
        "message": 'no plug-in serves the carrier "fedx"',
        "field": "carrier",
        "what_to_do": 'Did you mean "fedex"?',
    }
    assert result.stderr == f"Error: {error['message']}\n{error['what_to_do']}\n"


def test_a_usage_error_is_json_too(shell: Shell) -> None:
    """What click refuses is told to a machine in the same shape."""
    result = shell.run("--json", "link", "fedex")

    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["type"] == "MissingParameter"
    assert "Missing argument 'NUMBER'" in result.stderr


def test_options_end_at_two_hyphens(shell: Shell) -> None:
    """After -- even --json is an argument."""
    result = shell.run("identify", "--", "--json")

    assert result.exit_code == 0
    assert not result.stdout.startswith("[")


ERRORS: list[tuple[ParcelhookError, int]] = [
    (ParcelhookError("m"), 1),
    (InputError("m", field="f"), 2),
    (WixForbidden("m", operation="create"), 4),
    (Undecided("m"), 4),
    (CarrierRefused("m", carrier="acme"), 5),
    (ConfigurationError("m", where="w"), 6),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_becomes_the_exit_code_of_its_kind(
    error: ParcelhookError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each error of ours ends with its exit code, a line on stderr, and JSON only where it is asked for."""

    def fail() -> None:
        raise error

    assert exit_code(fail, arguments=[]) == code
    plain = capsys.readouterr()
    assert exit_code(fail, arguments=["--json"]) == code
    told = capsys.readouterr()

    assert (plain.out, plain.err) == ("", "Error: m\n")
    assert json.loads(told.out)["error"]["type"] == type(error).__name__


def test_what_a_command_returns_is_its_exit_code() -> None:
    """A command ends with the number it returns, and with 0 where it returns nothing."""
    assert exit_code(lambda: 3, arguments=[]) == 3
    assert exit_code(lambda: None, arguments=[]) == 0


def test_an_unforeseen_error_shows_neither_traceback_nor_message(capsys: pytest.CaptureFixture[str]) -> None:
    """An internal error names its type and place; its message may hold a secret and stays inside."""

    def fail() -> None:
        raise ValueError(SECRET)

    assert exit_code(fail, arguments=["--json"]) == 1
    shown = capsys.readouterr()

    assert "internal error: ValueError in test_cli_contract.py:" in shown.err
    assert json.loads(shown.out)["error"]["type"] == "ValueError"
    assert "Traceback" not in shown.err
    assert SECRET not in shown.out + shown.err


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug the whole story is told."""

    def fail() -> None:
        raise ValueError(SECRET)

    assert exit_code(fail, arguments=["--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let interrupts through to what is started, also in a run that a shell put in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_quietly(shell: Shell) -> None:
    """Ctrl-C while a command waits ends it with 130 and without a traceback."""
    with shell.process("--json", "identify", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{NUMBER}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["input"] == NUMBER

        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        out, err = process.communicate()

    assert process.returncode == 130
    assert out == ""
    assert err.strip() == ""


def test_a_reader_that_has_enough_is_no_error(shell: Shell) -> None:
    """A pipe that is closed early, as by head, ends the command without a word."""
    with shell.process("--json", "identify", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(f"{NUMBER}\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(f"{NUMBER}\n")
        process.stdin.close()

        assert process.wait() == 141
        assert process.stderr.read() == ""


def test_an_error_nobody_reads_is_told_on_stderr_alone(shell: Shell) -> None:
    """Where the reader of stdout is gone already, an error still ends without a traceback."""
    with shell.process("--json", "link", "fedx", "1") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert process.wait() == 141
        assert process.stderr.read().startswith("Error: no plug-in serves")


def test_a_process_ends_as_the_command_does(shell: Shell) -> None:
    """As a program it prints one JSON value, nothing else, and ends with the error's code."""
    done = subprocess.run(
        [sys.executable, "-m", "parcelhook", "link", "fedx", "1", "--json"],
        cwd=shell.folder,
        env=shell.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["what_to_do"] == 'Did you mean "fedex"?'
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [[*path, "--json"] for path in ALL_COMMANDS if path not in {(), ("sandbox",), ("demo",)}], ids=" ".join
)
def test_wrong_settings_are_told_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Whatever command meets a mistake in the settings says where it is and never shows a value."""
    shell = open_shell(tmp_path, monkeypatch, PARCELHOOK_WIX_API_KEY=SECRET, PARCELHOOK_TOKEN=SECRET)

    result = shell.run(*arguments)

    json.loads(result.stdout or "null")
    assert result.exit_code != 1
    assert "Traceback" not in result.output
    assert SECRET not in result.output


def test_a_mistake_in_the_settings_has_an_exit_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a credential is a configuration error that names the variable, with exit code 6."""
    shell = open_shell(tmp_path, monkeypatch, PARCELHOOK_WIX_API_KEY=SECRET)

    result = shell.run("link", "acme", NUMBER)

    assert result.exit_code == 6
    assert "PARCELHOOK_WIX_API_KEY" in result.stderr
    assert "lacks site_id (PARCELHOOK_WIX_SITE_ID)" in result.stderr
    assert SECRET not in result.output


def test_the_file_of_settings_is_named_before_or_after_the_command(shell: Shell) -> None:
    """--config is taken on both sides of a command, like all common options."""
    shell.write("wrong.toml", "nonsense = 1\n")

    before = shell.run("--config", "wrong.toml", "plugins", "list")
    after = shell.run("plugins", "list", "--config", "wrong.toml")

    assert before.exit_code == after.exit_code == 6
    assert before.stderr == after.stderr
    assert "wrong.toml:1: nonsense" in before.stderr


@given(st.text())
def test_nothing_printed_can_drive_a_terminal(text: str) -> None:
    """Control and other invisible characters are shown as escapes; what can be seen stays as it is."""
    shown = printable(text)

    assert all(character.isprintable() or character == "\n" for character in shown)
    assert printable(shown) == shown
    shown.encode("utf-8")
    if text.isprintable():
        assert shown == text


def test_a_table_is_plain_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a table has aligned columns and nothing else; without rows it says so."""
    write_table(("A", "Bc"), [("one", None), ("x\x1b[31m", True)])
    write_table(("A",), [])

    assert capsys.readouterr().out == "A          Bc\none        -\nx\\x1b[31m  yes\nNothing to show.\n"


def test_a_table_has_rules_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the same rows are drawn, and a value's brackets are no markup."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")

    write_table(("Carrier", "Countries"), [("[bold]acme", ("IL", "US"))])

    shown = capsys.readouterr().out
    assert "[bold]acme" in shown
    assert "IL, US" in shown
    assert "─" in shown
