"""Plug-ins installed for one test: real packages with real metadata in a folder on ``sys.path``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import invalidate_caches
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from textwrap import dedent

GREETING = """
from parcelhook import Carrier, Shipment, hookimpl

carrier = Carrier(id="{id}", name="{id}", link="https://{id}.example/{{number}}", link_hosts=())


@hookimpl
def parcelhook_carriers() -> list[Carrier]:
    return [carrier]


@hookimpl
async def parcelhook_resolve_tracking_url(shipment: Shipment) -> str | None:
    return f"https://{id}.example/{{shipment.tracking_number}}?by={{__name__}}"
"""


def plain(carrier_id: str) -> str:
    """Give the source of a plug-in that serves one carrier and says in its links who made them."""
    return GREETING.format(id=carrier_id)


class Shelf:
    """A site-packages of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        distribution: str,
        source: str = "",
        *,
        names: str | Mapping[str, str],
        version: str = "1.0",
        files: Mapping[str, str] | None = None,
    ) -> str:
        """Install a distribution with one package and its entry points; give the package's name."""
        package = f"shelf_{self.folder.name.replace('-', '_')}_{distribution.replace('-', '_')}"
        (self.folder / package).mkdir()
        for name, text in {"__init__.py": dedent(source), **(files or {})}.items():
            (self.folder / package / name).write_text(text, encoding="utf-8")
        points = {names: package} if isinstance(names, str) else names
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {target or package}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[parcelhook]", *lines, ""]))
        return package

    def entry_points(self) -> list[EntryPoint]:
        """Give what is installed here, and nothing of the surrounding environment."""
        found = distributions(path=[str(self.folder)])
        return [point for each in found for point in each.entry_points if point.group == "parcelhook"]


@contextmanager
def shelf(folder: Path) -> Iterator[Shelf]:
    """Put a shelf on ``sys.path``, and forget what was imported from it afterwards."""
    sys.path.insert(0, str(folder))
    invalidate_caches()
    try:
        yield Shelf(folder)
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith("shelf_")]:
            del sys.modules[name]
