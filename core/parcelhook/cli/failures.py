"""How a command ends: whatever is raised becomes an exit code, a line for people, and JSON where it was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from io import StringIO

import click

from parcelhook.cli.output import Json, printable, write_json
from parcelhook.errors import ParcelhookError

INTERRUPTED = 130
BROKEN_PIPE = 141


def exit_code(run: Callable[[], object], *, arguments: Sequence[str]) -> int:
    """Run a command and give its exit code: what it returned, or what its error calls for.

    0 done, 1 internal, 2 usage or bad input, 3 some items failed, 4 Wix refused or undecided yet, 5 carrier refused,
    6 configuration, 130 interrupted.
    """
    try:
        return _outcome(run, arguments=arguments[: arguments.index("--")] if "--" in arguments else arguments)
    except BrokenPipeError:
        return pipe_closed()


def pipe_closed() -> int:
    """End quietly when whoever read stdout has enough, as head does."""
    # Python flushes stdout once more when it ends, and would complain about the pipe then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _outcome(run: Callable[[], object], *, arguments: Sequence[str]) -> int:
    try:
        result = run()
        sys.stdout.flush()
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where nothing may pass
        if "--debug" in arguments and not isinstance(error, click.ClickException):
            import traceback

            traceback.print_exc()
        return _report(error, as_json="--json" in arguments)
    return result if isinstance(result, int) else 0


def _report(error: Exception, *, as_json: bool) -> int:
    if isinstance(error, click.ClickException):
        told, code, value = _shown(error), error.exit_code, _described(error, error.format_message())
    elif isinstance(error, ParcelhookError):
        told, code, value = _told(error), error.exit_code, _described(error, error.message)
    else:
        message = f"internal error: {type(error).__name__}{_place(error)}"
        told = f"Error: {message}\nRun the command again with --debug to see more, and please report it."
        code, value = 1, _described(error, message)
    sys.stderr.write(printable(told.rstrip("\n")) + "\n")
    if as_json:
        write_json(value)
    return code


def _told(error: ParcelhookError) -> str:
    return f"Error: {error.message}\n{error.what_to_do}" if error.what_to_do not in error.message else f"Error: {error}"


def _shown(error: click.ClickException) -> str:
    text = StringIO()
    error.show(file=text)
    return text.getvalue()


def _described(error: Exception, message: str) -> Json:
    field = getattr(error, "field", "") or getattr(error, "where", "")
    what_to_do = getattr(error, "what_to_do", "")
    return {"error": {"type": type(error).__name__, "message": message, "field": field, "what_to_do": what_to_do}}


def _place(error: Exception) -> str:
    """Give file and line of an internal error; its message is left out, for it may hold a secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""  # noqa: PTH119 - light
