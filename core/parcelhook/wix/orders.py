"""Orders as Wix sends them, as far as fulfilling them needs.

Source: Wix, "Orders" (Order object, Get Order, Search Orders).
"""

from __future__ import annotations

from pydantic import AliasChoices, Field

from parcelhook.models import Consignee
from parcelhook.wix.wire import UtcTime, Wire


class StreetAddress(Wire):
    """A street address in parts, where the store's country has no single address line."""

    number: str = ""
    name: str = ""


class Address(Wire):
    """Where something goes; REST says ``addressLine``, Wix's SDK ``addressLine1``."""

    address_line: str = Field(default="", validation_alias=AliasChoices("addressLine", "addressLine1"))
    address_line2: str = Field(default="", alias="addressLine2")
    street_address: StreetAddress = StreetAddress()
    city: str = ""
    subdivision: str = ""
    country: str = ""
    postal_code: str = ""


class ContactDetails(Wire):
    """Who is at an address."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""


class Recipient(Wire):
    """An address and who is there; personal data, left out of every repr."""

    address: Address = Field(default=Address(), repr=False)
    contact_details: ContactDetails = Field(default=ContactDetails(), repr=False)

    def consignee(self) -> Consignee:
        """Give the same in parcelhook's own terms; the store's e-mail address for the buyer is not part of it."""
        address, contact = self.address, self.contact_details
        street = f"{address.street_address.name} {address.street_address.number}".strip()
        return Consignee(
            name=f"{contact.first_name} {contact.last_name}".strip(),
            company=contact.company,
            address_line=address.address_line or street,
            address_line2=address.address_line2,
            city=address.city,
            subdivision=address.subdivision,
            postal_code=address.postal_code,
            country=address.country,
            phone=contact.phone,
        )


class _Text(Wire):
    original: str = ""


class _ItemType(Wire):
    preset: str | None = None


class _PhysicalProperties(Wire):
    sku: str = ""
    weight: float | None = None
    shippable: bool | None = None


class OrderLineItem(Wire):
    """One line of an order; without ``fulfiller_id`` the merchant ships it, and ids repeat from order to order."""

    id: str
    quantity: int = 0
    fulfiller_id: str | None = None
    refund_quantity: int = 0
    restock_quantity: int = 0
    product_name: _Text = _Text()
    item_type: _ItemType = _ItemType()
    physical_properties: _PhysicalProperties = _PhysicalProperties()

    @property
    def name(self) -> str:
        """Give the product's name in the store's language."""
        return self.product_name.original

    @property
    def preset(self) -> str | None:
        """Give the item's type: PHYSICAL, DIGITAL, GIFT_CARD, SERVICE, UNRECOGNISED or a newer one."""
        return self.item_type.preset

    @property
    def sku(self) -> str:
        """Give the stock keeping unit."""
        return self.physical_properties.sku

    @property
    def weight(self) -> float | None:
        """Give the weight of one, in the order's ``weight_unit``."""
        return self.physical_properties.weight

    @property
    def shippable(self) -> bool | None:
        """Tell whether it can be shipped; None where Wix does not say."""
        return self.physical_properties.shippable


class _PickupDetails(Wire):
    address: Address = Field(default=Address(), repr=False)
    pickup_method: str | None = None


class _Logistics(Wire):
    shipping_destination: Recipient | None = None
    pickup_details: _PickupDetails | None = None


class ShippingInfo(Wire):
    """How an order is to be shipped; absent on an order of digital items."""

    carrier_id: str | None = None
    code: str | None = None
    title: str = ""
    logistics: _Logistics = _Logistics()

    @property
    def is_pickup(self) -> bool:
        """Tell whether the buyer collects it; ``destination`` then is the pickup place."""
        return self.logistics.pickup_details is not None

    @property
    def destination(self) -> Recipient | None:
        """Give where it goes, or None where Wix does not say."""
        return self.logistics.shipping_destination


class ChannelInfo(Wire):
    """Where an order was placed: WEB, POS, EBAY, AMAZON, and others."""

    type: str | None = None
    external_order_id: str | None = None
    external_order_url: str | None = None


class WixOrder(Wire):
    """An order of the store; states are Wix's own words, and None where Wix left them out."""

    id: str
    number: str = ""
    status: str | None = None
    payment_status: str | None = None
    fulfillment_status: str | None = None
    line_items: tuple[OrderLineItem, ...] = ()
    shipping_info: ShippingInfo | None = None
    recipient_info: Recipient | None = None
    channel_info: ChannelInfo = ChannelInfo()
    archived: bool = False
    imported: bool = False
    created_date: UtcTime | None = None
    updated_date: UtcTime | None = None
    weight_unit: str = ""
    currency: str = ""

    @property
    def consignee(self) -> Consignee:
        """Give who receives it: the shipping destination, or for a pickup and without one, the recipient."""
        destination = (
            self.shipping_info.destination if self.shipping_info and not self.shipping_info.is_pickup else None
        )
        recipient = destination or self.recipient_info
        return recipient.consignee() if recipient else Consignee()
