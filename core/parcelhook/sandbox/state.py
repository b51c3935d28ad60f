"""Everything a running sandbox holds: its store, its courier, and how they behave."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

from parcelhook.sandbox.courier import Courier
from parcelhook.sandbox.events import Events
from parcelhook.sandbox.faults import Faults
from parcelhook.sandbox.gate import Gate
from parcelhook.sandbox.orders import make_orders
from parcelhook.sandbox.settings import Panel, SandboxSettings
from parcelhook.sandbox.store import Store
from parcelhook.sandbox.validation import Json
from parcelhook.sandbox.webhooks import Deliverer, Signer
from parcelhook.sandbox.wire import Calls


class Sandbox:
    """Hold one store, its courier and everything about them; all of it lives on the server's loop."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.panel = Panel(settings.switches)
        self.signer = Signer()
        self.calls = Calls()
        self.faults = Faults()
        self.courier = Courier()
        self.gate = Gate(settings, self.panel)
        self.deliverer = Deliverer(
            self.panel, self.signer, time_scale=settings.time_scale, deadline=settings.webhook_deadline
        )
        account = {"accountId": str(uuid4()), "siteId": settings.site_id}
        self.events = Events(self.panel, instance_id=settings.instance_id, account=account, send=self.deliverer.send)
        self.store = Store(self.panel, self.events)
        self.visitor: Json = {"identityType": "ANONYMOUS_VISITOR", "anonymousVisitorId": str(uuid4())}
        self.merchant: Json = {"identityType": "WIX_USER", "wixUserId": str(uuid4())}
        self._folder: Path | None = None
        self.public_key_file = settings.public_key_file

    def open(self) -> None:
        """Write the public key and make the first orders."""
        if self.public_key_file is None:
            self._folder = Path(tempfile.mkdtemp(prefix="parcelhook-sandbox-"))
            self.public_key_file = self._folder / "public-key.pem"
        self.public_key_file.write_bytes(self.signer.public_pem())
        orders = make_orders(self.store.next_number, count=self.settings.orders)
        self.store.add(orders, identity=self.visitor)

    async def close(self) -> None:
        """Stop what runs in the background and take the key file away if it is ours."""
        self.faults.close()
        await self.deliverer.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def ready(self, url: str) -> dict[str, object]:
        """Tell what a client needs to know, its secrets included; ``url`` is where the server listens."""
        self.courier.url = f"{url}/courier"
        settings = self.settings
        return {
            "url": url,
            "app_id": settings.app_id,
            "app_secret": settings.app_secret,
            "instance_id": settings.instance_id,
            "public_key_file": str(self.public_key_file),
            "carriers": {"courier": self.courier.url},
            "order_ids": list(self.store.orders),
            "api_key": settings.api_key,
            "site_id": settings.site_id,
            "courier_key": settings.courier_key,
        }
