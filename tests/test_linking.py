"""Without a valid link nothing is created: the shipment waits, the hook is asked again, then a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from parcelhook import Carrier, CarrierRefused, CarrierThrottled, CarrierUnavailable, Shipment, hookimpl
from parcelhook.errors import HookFailed, InvalidTrackingLink
from parcelhook.fulfillment.create import send
from parcelhook.fulfillment.linkage import TRIES
from parcelhook.fulfillment.linking import can_link, tracking_info
from parcelhook.fulfillment.store import Outcome
from parcelhook.ledger import State
from parcelhook.registry import Registry
from parcelhook.sandbox import Running
from shops import Shop, registry_of

pytest_plugins = ["stores"]

PAGE = "https://track.linker.example/p/1?token=x"


class Linker:
    """A carrier whose links its plug-in gives; ``answers`` are the next ones, the last of them for ever."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)
        self.asked: list[Shipment] = []

    @hookimpl
    def parcelhook_carriers(self) -> list[Carrier]:
        """Serve one carrier."""
        return [Carrier(id="linker", name="Linker Express", link_hosts=("track.linker.example",))]

    @hookimpl
    async def parcelhook_resolve_tracking_url(self, shipment: Shipment) -> str | None:
        """Give the next answer."""
        self.asked.append(shipment)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def linked_by(shop: Shop, linker: Linker) -> Iterator[None]:
    """Let the store have the linker's plug-in."""
    with registry_of(shop.sandbox, linker=linker) as registry:
        shop.store = replace(shop.store, registry=registry)
        yield


def test_the_hooks_link_is_there_before_the_create(shop: Shop) -> None:
    """The hook is asked first, with all that is known of the shipment, and its link is in the create."""
    linker, order_id = Linker(PAGE), shop.order()
    with linked_by(shop, linker):
        shop.created(order_id, "L 1", carrier="linker")

    (asked,) = linker.asked
    assert (asked.tracking_number, asked.order_id, asked.store) == ("L 1", order_id, "main")
    assert shop.fulfillments(order_id)[0]["trackingInfo"] == {
        "trackingNumber": "L 1",
        "shippingProvider": "Linker Express",
        "trackingLink": PAGE,
    }
    assert shop.calls()["update"] == 0


PASSING = [
    CarrierUnavailable("it does not answer", carrier="linker"),
    CarrierThrottled("too many calls", carrier="linker", retry_after=5),
    ValueError("a mistake of the plug-in's"),
    TimeoutError(),
    "http://track.linker.example/1",
    "https://elsewhere.example/1",
    "javascript:alert(1)",
    None,
]


@pytest.mark.parametrize("answer", PASSING, ids=lambda answer: getattr(type(answer), "__name__", "") + str(answer)[:12])
def test_a_shipment_waits_for_a_valid_link(shop: Shop, answer: str | Exception | None) -> None:
    """Whatever is wrong with the hook's answer, nothing is created, and the link is used once it is valid."""
    linker, order_id = Linker(answer, PAGE), shop.order()
    with linked_by(shop, linker):
        row = shop.take(order_id, carrier="linker")
        assert shop.send(row) is Outcome.WAITING
        assert (shop.row(row).state, bool(shop.row(row).error)) == (State.WAITING_LINK, True)
        assert shop.send(row) is None, "the hook is not asked before its time"
        assert not shop.calls()
        shop.clock.advance(6)

        assert shop.send(row) is Outcome.CREATED

    assert shop.row(row).error == ""
    assert shop.fulfillments(order_id)[0]["trackingInfo"]["trackingLink"] == PAGE


def test_a_person_is_asked_when_no_link_comes(shop: Shop) -> None:
    """The hook is asked a few times, ever later, then the shipment needs review; no call was made."""
    linker, order_id = Linker(CarrierUnavailable("it does not answer", carrier="linker")), shop.order()
    with linked_by(shop, linker):
        row = shop.take(order_id, carrier="linker")
        waits = []
        while shop.send(row) is Outcome.WAITING:
            due_at = shop.row(row).due_at
            assert due_at is not None
            waits.append(round((due_at - shop.clock()).total_seconds()))
            shop.clock.advance(waits[-1])

    assert waits == sorted(set(waits))
    assert (len(waits), len(linker.asked)) == (TRIES, TRIES + 1)
    found = shop.row(row)
    assert (found.state, found.error, bool(found.what_to_do)) == (State.NEEDS_REVIEW, "it does not answer", True)
    assert not shop.calls()


def test_a_carriers_refusal_asks_a_person_at_once(shop: Shop) -> None:
    """What the carrier refused is not asked again."""
    linker = Linker(CarrierRefused("unknown parcel", carrier="linker", what_to_do="Book it first."))
    with linked_by(shop, linker):
        row = shop.take(shop.order(), carrier="linker")
        assert shop.send(row) is Outcome.REVIEW

    assert (shop.row(row).error, shop.row(row).what_to_do) == ("unknown parcel", "Book it first.")


def test_waiting_for_a_link_does_not_hold_up_others(shop: Shop) -> None:
    """A plug-in that fails, or is not configured, leaves other carriers' shipments alone."""
    with registry_of(shop.sandbox, linker=Linker(ValueError())) as registry:
        unconfigured = registry_of_nobody(shop.sandbox)
        with unconfigured as bare:
            rows = [shop.take(shop.order(), carrier=carrier) for carrier in ("ups", "courier")]
            shop.store = replace(shop.store, registry=bare)
            outcomes = send(shop.store)
        shop.store = replace(shop.store, registry=registry)
        broken, sound = shop.take(shop.order(), carrier="linker"), shop.take(shop.order())
        further = send(shop.store)

    assert outcomes == {rows[0].id: Outcome.CREATED, rows[1].id: Outcome.WAITING}
    assert "key" in shop.row(rows[1]).error
    assert further == {broken.id: Outcome.WAITING, sound.id: Outcome.CREATED}


def registry_of_nobody(sandbox: Running) -> Registry:
    """Give a registry where the courier has no account."""
    import parcelhook_courier  # noqa: PLC0415 - beside the one use

    return Registry(extra={"courier": parcelhook_courier})


def test_a_given_link_goes_before_the_hook(shop: Shop) -> None:
    """Whoever gives the link is not second-guessed by the plug-in."""
    linker, order_id = Linker(PAGE), shop.order()
    with linked_by(shop, linker):
        shop.created(order_id, carrier="linker", url="https://track.linker.example/mine")

    assert linker.asked == []
    assert shop.fulfillments(order_id)[0]["trackingInfo"]["trackingLink"] == "https://track.linker.example/mine"


def test_a_plugin_that_is_gone_asks_a_person(shop: Shop) -> None:
    """A shipment of a carrier that no plug-in serves any more needs review."""
    with linked_by(shop, Linker(PAGE)):
        row = shop.take(shop.order(), carrier="linker")
    with registry_of(shop.sandbox) as registry:
        shop.store = replace(shop.store, registry=registry)
        assert shop.send(row) is Outcome.REVIEW

    assert "linker" in shop.row(row).error


def test_a_template_is_used_where_the_hook_says_so(shop: Shop) -> None:
    """None of the hook, and no hook at all, mean the template, with the number as it may stand in a link."""
    info = tracking_info(shop.store.registry, Shipment(carrier="royal-mail", tracking_number="AB 12"))

    assert (info.provider, info.source) == ("Royal Mail", "carrier")
    assert info.url.endswith(("AB12", "AB%2012"))


def test_a_standard_provider_sends_no_link(shop: Shop) -> None:
    """Wix's own provider is named as Wix spells it, without a link."""
    info = tracking_info(shop.store.registry, Shipment(carrier="canada-post", tracking_number="1"))

    assert (info.provider, info.url, info.source) == ("canadaPost", "", "wix")


def test_a_loopback_page_is_a_link_of_a_loopback_store_only(shop: Shop) -> None:
    """Http to this machine is valid for a store on this machine, and for no other."""
    shipment, url = Shipment(carrier="ups", tracking_number="1"), "http://127.0.0.1:8000/track/1"

    assert tracking_info(shop.store.registry, shipment, given_url=url, allow_loopback=True).url == url
    with pytest.raises(InvalidTrackingLink):
        tracking_info(shop.store.registry, shipment, given_url=url)


def test_a_carrier_without_page_and_hook_cannot_link(shop: Shop) -> None:
    """Only a carrier with a template, a hook, or Wix's own page can link by itself; the caller is told at once."""

    class Mute:
        @hookimpl
        def parcelhook_carriers(self) -> list[Carrier]:
            return [Carrier(id="mute", name="Mute")]

    with registry_of(shop.sandbox, mute=Mute()) as registry:
        shop.store = replace(shop.store, registry=registry)
        able = {id_: can_link(registry, registry.carrier(id_)) for id_ in ("mute", "ups", "courier", "royal-mail")}
        with pytest.raises(InvalidTrackingLink, match="no tracking page"):
            shop.take(shop.order(), carrier="mute")

    assert able == {"mute": False, "ups": True, "courier": True, "royal-mail": True}


def test_an_unusable_link_of_a_plug_in_is_the_plug_ins_failure() -> None:
    """A link that leads elsewhere names the carrier and its hosts, and counts as a failed hook."""
    with (
        Registry(entry_points=[], extra={"linker": Linker("https://elsewhere.example/1")}) as registry,
        pytest.raises(HookFailed, match="the link its plug-in gave") as caught,
    ):
        tracking_info(registry, Shipment(carrier="linker", tracking_number="1"))

    assert "track.linker.example" in caught.value.what_to_do
