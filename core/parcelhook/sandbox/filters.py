"""The filter of Search Orders: which fields may be filtered, and with which operators (OrderSearchSpec)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from parcelhook.sandbox.validation import Checker, Json, JsonValue

Matches = Callable[[Json], bool]

_EQUALITY = ("$eq", "$ne", "$in", "$nin")
_ORDERING = ("$gt", "$gte", "$lt", "$lte", "$exists")
_OPERATORS = {
    "text": (*_EQUALITY, "$startsWith", "$exists"),
    "enum": _EQUALITY,
    "flag": ("$eq", "$ne"),
    "date": (*_EQUALITY, *_ORDERING),
    "number": (*_EQUALITY, *_ORDERING),
    "array": ("$hasAll", "$hasSome"),
}
FIELDS: Mapping[str, str] = {
    "id": "text",
    "number": "number",
    "status": "enum",
    "paymentStatus": "enum",
    "fulfillmentStatus": "enum",
    "createdDate": "date",
    "updatedDate": "date",
    "archived": "flag",
    "channelInfo.type": "text",
    "channelInfo.externalOrderId": "text",
    "shippingInfo.title": "text",
    "shippingInfo.region.name": "text",
    "buyerInfo.contactId": "text",
    "buyerInfo.memberId": "text",
    "buyerInfo.email": "text",
    "checkoutId": "text",
    "fulfillmentStatusesAggregate.statuses": "array",
}
_ENUMS = {
    "status": frozenset({"INITIALIZED", "APPROVED", "CANCELED", "PENDING", "REJECTED"}),
    "paymentStatus": frozenset(
        {
            "UNSPECIFIED",
            "NOT_PAID",
            "PAID",
            "PARTIALLY_REFUNDED",
            "FULLY_REFUNDED",
            "PENDING",
            "PARTIALLY_PAID",
            "PENDING_MERCHANT",
            "CANCELED",
            "DECLINED",
        }
    ),
    "fulfillmentStatus": frozenset({"NOT_FULFILLED", "PARTIALLY_FULFILLED", "FULFILLED"}),
}
_LISTS = frozenset({"$in", "$nin", "$hasAll", "$hasSome"})
_JOINS = frozenset({"$and", "$or"})
_TESTS: Mapping[str, Callable[[JsonValue, JsonValue], bool]] = {
    "$eq": lambda value, wanted: value == wanted,
    "$ne": lambda value, wanted: value != wanted,
    "$in": lambda value, wanted: value in wanted,
    "$nin": lambda value, wanted: value not in wanted,
    "$gt": lambda value, wanted: value is not None and value > wanted,
    "$gte": lambda value, wanted: value is not None and value >= wanted,
    "$lt": lambda value, wanted: value is not None and value < wanted,
    "$lte": lambda value, wanted: value is not None and value <= wanted,
    "$exists": lambda value, wanted: (value is not None) == wanted,
    "$startsWith": lambda value, wanted: value is not None and value.startswith(wanted),
    "$hasAll": lambda value, wanted: set(wanted) <= set(value or ()),
    "$hasSome": lambda value, wanted: not set(wanted).isdisjoint(value or ()),
}


def read_path(entity: Json, path: str) -> JsonValue:
    """Read a dotted path out of an order, or None."""
    value: JsonValue = entity
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def typed(kind: str, value: JsonValue) -> JsonValue:
    """Give a stored value in the type in which it is compared."""
    if value is None:
        return None
    if kind == "date":
        return datetime.fromisoformat(value)
    return int(value) if kind == "number" else value


def mentions(condition: object, field: str) -> bool:
    """Tell whether a filter says anything about a field."""
    if isinstance(condition, list):
        return any(mentions(part, field) for part in condition)
    if isinstance(condition, dict):
        return field in condition or any(mentions(part, field) for key, part in condition.items() if key[:1] == "$")
    return False


def compile_filter(checker: Checker, path: str, condition: object) -> Matches:
    """Turn a filter into a test; what is wrong with it is noted with the checker."""
    tests: list[Matches] = []
    if not checker.mapping(condition, path):
        return _all(tests)
    for key, wanted in condition.items():
        here = f"{path}.{key}"
        if key in _JOINS:
            parts = wanted if isinstance(wanted, list) else []
            if not parts:
                checker.fail(here, "FORMAT", "must be an array of filters")
            compiled = [compile_filter(checker, f"{here}[{index}]", part) for index, part in enumerate(parts)]
            tests.append(_all(compiled) if key == "$and" else _any(compiled))
        elif key == "$not":
            tests.append(_negated(compile_filter(checker, here, wanted)))
        elif key not in FIELDS:
            checker.fail(here, "FILTERABLE", "is not a filterable field")
        else:
            tests.extend(_field_tests(checker, here, key, wanted))
    return _all(tests)


def _field_tests(checker: Checker, path: str, field: str, wanted: object) -> Iterable[Matches]:
    kind = FIELDS[field]
    # A bare value is short for $eq.
    operators = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    if not operators:
        checker.fail(path, "FORMAT", "must hold an operator")
    for operator, operand in operators.items():
        if operator not in _OPERATORS[kind]:
            checker.fail(f"{path}.{operator}", "OPERATOR", f"is not one of {', '.join(_OPERATORS[kind])}")
            continue
        try:
            value = _operand(field, kind, operator, operand)
        except (ValueError, TypeError) as error:
            checker.fail(f"{path}.{operator}", "FORMAT", str(error))
            continue
        yield _field_test(field, kind, operator, value)


def _field_test(field: str, kind: str, operator: str, wanted: JsonValue) -> Matches:
    test = _TESTS[operator]

    def matches(entity: Json) -> bool:
        return test(typed(kind, read_path(entity, field)), wanted)

    return matches


def _operand(field: str, kind: str, operator: str, operand: object) -> JsonValue:
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise TypeError("must be a boolean")
        return operand
    if operator in _LISTS:
        if not isinstance(operand, list):
            raise TypeError("must be an array")
        return [_scalar(field, kind, member) for member in operand]
    if operand is None and operator in {"$eq", "$ne"}:
        return None
    return _scalar(field, kind, operand)


def _scalar(field: str, kind: str, operand: object) -> JsonValue:
    if kind == "flag":
        if not isinstance(operand, bool):
            raise TypeError("must be a boolean")
        return operand
    if kind == "number":
        if isinstance(operand, bool) or not isinstance(operand, int | str):
            raise TypeError("must be a number")
        return int(operand)
    if not isinstance(operand, str):
        raise TypeError("must be a string")
    if kind == "date":
        return _instant(operand)
    if field in _ENUMS and operand not in _ENUMS[field]:
        msg = f"must be one of {', '.join(sorted(_ENUMS[field]))}"
        raise ValueError(msg)
    return operand


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("must be an ISO date with an offset")
    return instant


def _all(tests: list[Matches]) -> Matches:
    return lambda entity: all(test(entity) for test in tests)


def _any(tests: list[Matches]) -> Matches:
    return lambda entity: any(test(entity) for test in tests)


def _negated(test: Matches) -> Matches:
    return lambda entity: not test(entity)
