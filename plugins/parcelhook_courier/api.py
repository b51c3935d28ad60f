"""The courier's API: one function for each call."""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from parcelhook import (
    Booking,
    BookingRequest,
    CarrierAnswer,
    CarrierContext,
    CarrierRefused,
    CarrierResponse,
    Consignee,
)
from parcelhook_courier.parsing import BookedParcels, Parcel, Refusal, as_printed, booking


class CourierSettings(BaseModel):
    """What an operator configures under ``[carriers.courier]``, beside ``host``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: SecretStr = Field(description="the key of the shop's account with the courier")


async def book(context: CarrierContext[CourierSettings], request: BookingRequest) -> Booking:
    """Book a parcel; the same key gives the same parcel, and with other data is refused."""
    consignee = request.order.consignee
    if not (consignee.address_line and consignee.city and consignee.country):
        msg = "the order has no complete address to deliver to"
        hint = "Complete the order's shipping address in Wix."
        raise CarrierRefused(msg, carrier=context.carrier.id, what_to_do=hint)
    answer = await context.http.post(
        "/parcels",
        json={
            "reference": request.key,
            "recipient": _recipient(consignee),
            "items": sum(item.quantity for item in request.items),
        },
        headers=_key(context),
        accept=(409, 422),
    )
    if answer.status >= 400:  # noqa: PLR2004 - where refusals begin
        _refuse(context, answer, "the booking", "Correct the order, or ship it with another carrier.")
    return booking(request.key, [answer.read(Parcel)])


async def find_booking(context: CarrierContext[CourierSettings], key: str) -> Booking | None:
    """Give what was booked under a key, or None."""
    answer = await context.http.get("/parcels", query={"reference": key}, headers=_key(context))
    parcels = answer.read(BookedParcels).parcels
    return booking(key, parcels) if parcels else None


async def cancel(context: CarrierContext[CourierSettings], number: str) -> None:
    """Cancel a parcel; one that the courier does not know is as good as cancelled."""
    answer = await context.http.delete(_path(number), headers=_key(context), accept=(404, 409))
    if answer.status == 409:  # noqa: PLR2004 - conflict
        _refuse(context, answer, "to cancel the parcel", "Ask the courier to bring it back.")


async def tracking_page(context: CarrierContext[CourierSettings], number: str) -> str:
    """Give the complete link to a parcel's page."""
    return (await context.http.get(_path(number), headers=_key(context))).read(Parcel).tracking_page


async def statuses(context: CarrierContext[CourierSettings], numbers: list[str]) -> CarrierAnswer:
    """Ask where up to 25 parcels are, and give the answer as it came; asking again does no harm."""
    answer = await context.http.post(
        "/parcels/status", json={"numbers": [as_printed(number) for number in numbers]}, headers=_key(context)
    )
    return CarrierAnswer(status=answer.status, headers=answer.headers, body=answer.body)


def _key(context: CarrierContext[CourierSettings]) -> dict[str, str]:
    return {"X-Courier-Key": context.settings.key.get_secret_value()}


def _path(number: str) -> str:
    return f"/parcels/{quote(as_printed(number), safe='')}"


def _recipient(consignee: Consignee) -> dict[str, str]:
    """Give name and address; the courier needs neither telephone nor e-mail, so it does not get them."""
    given = consignee.model_dump(exclude={"phone", "email"})
    return {name: value for name, value in given.items() if value}


def _refuse(context: CarrierContext[CourierSettings], answer: CarrierResponse, what: str, what_to_do: str) -> NoReturn:
    """Raise a refusal with the courier's code; its text may repeat what it was sent, so it stays out."""
    code = answer.read(Refusal).error.code
    msg = f"{context.carrier.name} refused {what}: {code}"
    raise CarrierRefused(msg, carrier=context.carrier.id, code=code, what_to_do=what_to_do)
