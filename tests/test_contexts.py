"""What a hook is given to work with: its carrier's hosts, its settings, and a logger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
import structlog
from pydantic import BaseModel
from structlog.testing import LogCapture

from parcelhook.carrier import Carrier
from parcelhook.contexts import ContextFactory, HookContext
from parcelhook.errors import CarrierRefused

HOST = "https://api.acme.example"


class HostedSettings(BaseModel):
    """Settings that have a host of their own."""

    host: str


def context(*, model: type[BaseModel] | None = None, configured: Mapping[str, object]) -> HookContext:
    """Give the context of a carrier that is configured like this."""
    carrier = Carrier(id="acme-post", name="Acme", host=HOST, settings=model)
    return ContextFactory({"acme-post": configured}).context(carrier, plugin="acme")


def test_without_a_configured_host_the_carriers_own_is_kept_to() -> None:
    """A carrier that is configured without a host talks to that of its definition, and to no other."""
    made = context(configured={"account": "7"})

    async def work() -> None:
        with pytest.raises(CarrierRefused, match=r"GET elsewhere\.example: leads away"):
            await made.http.get("https://elsewhere.example/x")
        await made.aclose()

    asyncio.run(work())


@pytest.mark.parametrize(("model", "given"), [(HostedSettings, {"host": HOST}), (None, {})])
def test_a_host_is_a_setting_where_the_carrier_asks_for_one(model: type[BaseModel] | None, given: object) -> None:
    """The host reaches a carrier's own settings if they have a field for it; a carrier without settings gets none."""
    assert context(model=model, configured={"host": HOST}).settings.model_dump() == given


@pytest.fixture
def logged() -> LogCapture:
    """Configure structlog as a program would."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    return capture


def test_a_hook_logs_where_the_operator_wants_it(logged: LogCapture) -> None:
    """What a hook logs goes through the program's own logging, with plug-in and carrier."""
    context(configured={}).log.info("asked", number="AC1")

    assert logged.entries == [
        {"event": "asked", "log_level": "info", "number": "AC1", "plugin": "acme", "carrier": "acme-post"}
    ]


def test_a_hook_logs_to_standard_error_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to what a command prints, so nothing of a hook's log is there."""
    context(configured={}).log.info("asked", number="AC1")

    out, err = capsys.readouterr()
    assert out == ""
    assert "AC1" in err
