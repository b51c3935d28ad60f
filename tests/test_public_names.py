"""What plug-in authors import is exactly what the package says it offers, and costs nothing until it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import parcelhook
from parcelhook import context, hookspecs
from parcelhook.carrier import Carrier
from parcelhook.implementations import HOOKS

SOURCE: Final = Path(parcelhook.__file__).read_text(encoding="utf-8")


def test_all_is_sorted_and_is_what_dir_shows() -> None:
    """``__all__``, ``dir()`` and what a type checker sees are one list."""
    typed = {
        alias.asname
        for block in ast.parse(SOURCE).body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    assert parcelhook.__all__ == sorted(set(parcelhook.__all__))
    assert dir(parcelhook) == sorted(parcelhook.__all__)
    assert typed == set(parcelhook.__all__) - {"__version__"}


@pytest.mark.parametrize("name", parcelhook.__all__)
def test_every_name_can_be_imported_and_is_documented(name: str) -> None:
    """Each name is there, says what it is, and stays the same object."""
    value = getattr(parcelhook, name)

    assert value is getattr(parcelhook, name)
    assert name == "__version__" or inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that does not exist fails like in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Courier'"):
        _ = parcelhook.Courier


def test_importing_the_package_imports_nothing_else() -> None:
    """``import parcelhook`` loads neither pydantic nor pluggy nor any module of ours."""
    code = (
        "import sys; before = set(sys.modules); import parcelhook; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before if name != 'parcelhook'}; "
        "print(sorted(new & {'pydantic', 'pluggy', 'httpx', 'structlog', 'sqlalchemy', 'parcelhook'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_no_public_signature_names_the_transport() -> None:
    """Nothing an author imports mentions httpx, so that the transport can change."""
    annotations = [
        str(annotation)
        for owner in (context.CarrierClient, context.CarrierResponse, context.CarrierContext, Carrier, hookspecs)
        for member in vars(owner).values()
        if callable(member) or isinstance(member, property)
        for annotation in getattr(
            member.fget if isinstance(member, property) else member, "__annotations__", {}
        ).values()
    ]

    assert len(annotations) > len(HOOKS)
    assert not [annotation for annotation in annotations if "httpx" in annotation]
