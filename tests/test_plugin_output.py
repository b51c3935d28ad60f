"""What a plug-in prints never reaches stdout, which belongs to the command."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from parcelhook import Carrier, hookimpl
from parcelhook.plugins import Origin, Plugin, content


def test_what_a_plug_in_prints_while_it_is_loaded_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """A print at import, or while carriers are asked for, leaves stdout alone."""
    carrier = Carrier(id="loud", name="Loud")

    @hookimpl
    def parcelhook_carriers() -> list[Carrier]:
        print("hello")  # noqa: T201 - the point
        return [carrier]

    read: Callable[[], object] = lambda: content(SimpleNamespace(parcelhook_carriers=parcelhook_carriers), name="loud")  # noqa: E731
    plugin = Plugin(name="loud", origin=Origin.INSTALLED, read=read)  # type: ignore[arg-type]

    loaded = plugin.load(deadline=10)

    assert [each.id for each in loaded] == ["loud"]
    assert capsys.readouterr() == ("", "hello\n")
