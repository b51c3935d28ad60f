"""Realistic orders, with Wix's REST names (Order object)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from parcelhook.sandbox.validation import Json

_GOODS = (
    ("Linen tablecloth", "LIN-140", 0.62, 4490),
    ("Olive wood board", "OWB-32", 1.15, 3850),
    ("Beeswax candle", "BWC-3", 0.28, 1275),
    ("Stoneware mug", "STM-08", 0.41, 1890),
    ("Wool blanket", "WBL-200", 1.9, 11900),
)
_TOWNS = (
    ("1600 Example Avenue", "Springfield", "US-IL", "US", "62701", "United States", "Illinois"),
    ("12 Sample Street", "Portland", "US-OR", "US", "97201", "United States", "Oregon"),
    ("4 Demo Road", "Albany", "US-NY", "US", "12207", "United States", "New York"),
)
ORDER_STATUSES = ("INITIALIZED", "APPROVED", "CANCELED", "PENDING", "REJECTED")
_NAMES = (("Alex", "Example"), ("Sam", "Sample"), ("Robin", "Demo"), ("Kim", "Muster"))


def now() -> datetime:
    """Give the present instant in UTC."""
    return datetime.now(UTC)


def stamp(instant: datetime) -> str:
    """Write an instant as Wix does in entities, with milliseconds."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def merge(target: Json, changes: Json) -> Json:
    """Merge changes into a copy of a JSON object, inside nested objects; null takes a key away."""
    merged = dict(target)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            present = merged.get(key)
            merged[key] = merge(present if isinstance(present, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def make_orders(
    first_number: int, *, count: int, items: int | list[Json] | None = None, changes: Json | None = None
) -> list[Json]:
    """Make paid, approved orders, a millisecond apart and the last one just now."""
    start = now() - timedelta(milliseconds=count - 1)
    return [
        make_order(first_number + index, created=start + timedelta(milliseconds=index), items=items, changes=changes)
        for index in range(count)
    ]


def make_order(
    number: int, *, created: datetime, items: int | list[Json] | None = None, changes: Json | None = None
) -> Json:
    """Make one order; ``items`` says how many line items or what differs in each, ``changes`` what else differs."""
    # The number seeds the choice, so that the same sandbox is made again the same.
    chance = random.Random(number)  # noqa: S311
    overrides = [{}] * items if isinstance(items, int) else (items or [{}])
    lines = [_line_item(index, override, chance) for index, override in enumerate(overrides, start=1)]
    changes = dict(changes or {})
    order = _skeleton(number, created, lines, chance, country=changes.pop("country", None))
    return normalised(merge(order, changes))


def normalised(order: Json) -> Json:
    """Give an order whose dates are all written alike; raise ``ValueError`` for what no order of Wix's can be."""
    if order["status"] not in ORDER_STATUSES:
        msg = f"status must be one of {', '.join(ORDER_STATUSES)}"
        raise ValueError(msg)
    if not str(order["number"]).isdigit():
        msg = "number must be a string of digits"
        raise ValueError(msg)
    quantities = [line["quantity"] for line in order["lineItems"] if isinstance(line["id"], str)]
    if not quantities or not all(type(quantity) is int and quantity >= 1 for quantity in quantities):
        msg = "an order has line items, each with an id and a quantity of at least 1"
        raise ValueError(msg)
    dates = {key: stamp(datetime.fromisoformat(order[key])) for key in ("createdDate", "updatedDate")}
    return order | dates


def _skeleton(number: int, created: datetime, lines: list[Json], chance: random.Random, *, country: str | None) -> Json:
    address = _address(chance, country)
    first, last = chance.choice(_NAMES)
    contact = {"firstName": first, "lastName": last, "phone": f"+1555010{chance.randrange(10_000):04}"}
    email = f"{first}.{last}@example.com".lower()
    goods = sum(_cents(line["price"]["amount"]) * line["quantity"] for line in lines)
    return {
        "id": str(uuid4()),
        "number": str(number),
        "createdDate": stamp(created),
        "updatedDate": stamp(created),
        "lineItems": lines,
        "buyerInfo": {"visitorId": str(uuid4()), "contactId": str(uuid4()), "email": email},
        "paymentStatus": "PAID",
        "fulfillmentStatus": "NOT_FULFILLED",
        "buyerLanguage": "en",
        "weightUnit": "KG",
        "currency": "USD",
        "taxIncludedInPrices": False,
        "priceSummary": {
            "subtotal": _money(goods),
            "shipping": _money(500),
            "tax": _money(0),
            "discount": _money(0),
            "total": _money(goods + 500),
        },
        "billingInfo": {"address": address, "contactDetails": contact},
        "shippingInfo": _shipping_info(address, contact),
        "recipientInfo": {"address": address, "contactDetails": contact},
        "status": "APPROVED",
        "archived": False,
        "channelInfo": {"type": "WEB"},
        "activities": [{"id": str(uuid4()), "createdDate": stamp(created), "type": "ORDER_PLACED"}],
        "checkoutId": str(uuid4()),
        # Wix's own samples hold keys that its reference does not document.
        "cartId": str(uuid4()),
        "isInternalOrderCreate": False,
    }


def _shipping_info(address: Json, contact: Json) -> Json:
    price = _money(500)
    return {
        "carrierId": str(uuid4()),
        "code": "standard",
        "title": "Standard shipping",
        "region": {"name": "Domestic"},
        "logistics": {
            "deliveryTime": "3 to 5 days",
            "shippingDestination": {"address": address, "contactDetails": contact},
        },
        "cost": {"price": price, "totalPriceBeforeTax": price, "totalPriceAfterTax": price, "discount": _money(0)},
    }


def _line_item(index: int, override: Json, chance: random.Random) -> Json:
    name, sku, weight, cents = chance.choice(_GOODS)
    line: Json = {
        # Line item ids repeat from order to order, in every sample of Wix's.
        "id": f"00000000-0000-0000-0000-{index:012}",
        "productName": {"original": name, "translated": name},
        "catalogReference": {"catalogItemId": str(uuid4()), "appId": "215238eb-22a5-4c36-9e7b-e7c08025e04e"},
        "quantity": 1,
        "price": _money(cents),
        "itemType": {"preset": "PHYSICAL"},
        "physicalProperties": {"sku": sku, "weight": weight, "shippable": True},
        "paymentOption": "FULL_PAYMENT_ONLINE",
    }
    return merge(line, override)


def _address(chance: random.Random, country: str | None) -> Json:
    line, city, subdivision, home, postal_code, country_name, subdivision_name = chance.choice(_TOWNS)
    street_number, street = line.split(" ", 1)
    address: Json = {
        "country": home,
        "subdivision": subdivision,
        "city": city,
        "postalCode": postal_code,
        "streetAddress": {"number": street_number, "name": street},
        "addressLine": line,
        "countryFullname": country_name,
        "subdivisionFullname": subdivision_name,
    }
    if country is not None and country != home:
        address["country"] = country
        for key in ("subdivision", "countryFullname", "subdivisionFullname"):
            del address[key]
    return address


def _money(cents: int) -> Json:
    amount = f"{cents // 100}.{cents % 100:02}"
    return {"amount": amount, "formattedAmount": f"${amount}"}


def _cents(amount: str) -> int:
    return round(float(amount) * 100)
