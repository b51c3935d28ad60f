"""Check what a plug-in implements: against the hooks by pluggy, and by our own rules where pluggy lets things pass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import PurePath
from types import CodeType, FunctionType
from typing import Final, cast, get_type_hints

import pluggy
from pydantic import TypeAdapter

from parcelhook import hookspecs
from parcelhook.errors import PluginError

PROJECT: Final = "parcelhook"


@dataclass(frozen=True)
class Hook:
    """A hook as ``hookspecs`` declares it; ``promise`` is its return type as written there."""

    name: str
    arguments: tuple[str, ...]
    is_async: bool
    promise: str


@dataclass(frozen=True)
class Implementation:
    """One plug-in's function for one hook, and the hook's arguments it takes."""

    hook: Hook
    function: Callable[..., object]
    arguments: tuple[str, ...]


def _declared() -> Iterator[Hook]:
    for name, function in vars(hookspecs).items():
        if inspect.isfunction(function) and hasattr(function, f"{PROJECT}_spec"):
            arguments = tuple(inspect.signature(function).parameters)
            yield Hook(name, arguments, inspect.iscoroutinefunction(function), str(function.__annotations__["return"]))


HOOKS: Final[Mapping[str, Hook]] = {hook.name: hook for hook in _declared()}
"""Every hook by name."""


@cache
def promise(hook: str) -> TypeAdapter[object]:
    """Give the validator of what a hook returns."""
    return TypeAdapter(get_type_hints(getattr(hookspecs, hook))["return"])


def implementations(plugin: object, *, name: str) -> dict[str, Implementation]:
    """Give a plug-in's implementations by hook; raise PluginError that names every rule it breaks."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    problems = [*_unmarked(manager, plugin), *_broken_rules(manager, plugin)]
    if problems:
        raise PluginError("; ".join(problems), where=name, what_to_do="Correct the plug-in, or remove it.")
    manager.register(plugin, name=name)
    found = {}
    for hook in HOOKS.values():
        for each in getattr(manager.hook, hook.name).get_hookimpls():
            taken = tuple(inspect.signature(each.function).parameters)
            found[hook.name] = Implementation(hook, each.function, taken)
    return found


def _unmarked(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    for name in dir(plugin):
        function = inspect.getattr_static(plugin, name, None)
        if name not in HOOKS or not isinstance(function, FunctionType) or hasattr(function, f"{PROJECT}_spec"):
            continue
        if manager.parse_hookimpl_opts(plugin, name) is None:
            yield f"{name}{_place(function)} is not marked @hookimpl"


def _broken_rules(manager: pluggy.PluginManager, plugin: object) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            continue
        function = getattr(plugin, name)
        hook_name = options.get("specname") or name
        where = f"{name}{_place(function)}"
        if hook_name not in HOOKS:
            near = get_close_matches(hook_name, HOOKS, n=1, cutoff=0.6)
            yield f"{where} is no hook" + (f"; did you mean {near[0]}?" if near else "")
            continue
        if owners.setdefault(hook_name, name) != name:
            yield f"{where} implements {hook_name} a second time, after {owners[hook_name]}"
        for option in ("wrapper", "hookwrapper", "tryfirst", "trylast"):
            if options.get(option):
                yield f"{where} asks for {option}; a hook has one owner, so there is nothing to wrap or to precede"
        yield from _broken_signature(function, HOOKS[hook_name], where)


def _broken_signature(function: Callable[..., object], hook: Hook, where: str) -> Iterator[str]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield f"{where} is a generator; {hook.name} returns its answer"
    elif inspect.iscoroutinefunction(function) != hook.is_async:
        yield f"{where} must be {'async def' if hook.is_async else 'a plain def, not async'}"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield f"{where} takes {parameter.name} as keyword-only, which pluggy drops"
        elif parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            yield f"{where} takes {parameter}, which is never bound; arguments are bound by name"
        elif parameter.name not in hook.arguments:
            known = ", ".join(hook.arguments) or "none"
            yield f"{where} takes {parameter.name}, which {hook.name} does not offer (it offers: {known})"


def code_of(function: Callable[..., object]) -> CodeType:
    """Give the code of a hook's function below its decorators, as far down as they wrap functions."""
    written = inspect.unwrap(function, stop=lambda each: not hasattr(getattr(each, "__wrapped__", None), "__code__"))
    return cast("FunctionType", written).__code__


def _place(function: Callable[..., object]) -> str:
    code = code_of(function)
    return f" ({'/'.join(PurePath(code.co_filename).parts[-2:])}:{code.co_firstlineno})"
