"""What pydantic finds wrong is said in plain words, and without any value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from parcelhook.mistakes import PLAIN, did_you_mean, mistakes, plain, summary
from parcelhook.models import Status

SECRET = "s3cret-value-4711"


class Strict(BaseModel):
    """A model that refuses what it does not know, and one value."""

    model_config = ConfigDict(extra="forbid")

    key: str
    size: int = 0

    @field_validator("key")
    @classmethod
    def _is_no_secret(cls, key: str) -> str:
        if key == SECRET:
            msg = f"should not be {key}"
            raise ValueError(msg)
        return key


MISTAKES = [
    (str, 3, "should be text"),
    (int, "x", "should be a whole number"),
    (int, 1.5, "should be a whole number"),
    (int, [], "should be a whole number"),
    (float, "x", "should be a number"),
    (float, [], "should be a number"),
    (bool, "x", "should be true or false"),
    (bool, [], "should be true or false"),
    (list[int], 3, "should be a list"),
    (tuple[int, ...], 3, "should be a list"),
    (set[int], 3, "should be a list"),
    (frozenset[int], 3, "should be a list"),
    (dict[str, int], 3, "should be a table"),
    (Mapping[str, int], 3, "should be a table"),
    (Strict, 3, "should be a table"),
    (Literal["a", "b"], "c", "should be 'a' or 'b'"),
    (Status, "c", "should be 'unknown', 'pre_transit', "),
    (Annotated[str, Field(pattern="^[A-Z]{2}$")], "c", "should match the pattern ^[A-Z]{2}$"),
    (Annotated[str, Field(min_length=2)], "c", "should have at least 2 characters"),
    (Annotated[str, Field(max_length=2)], "ccc", "should have at most 2 characters"),
    (Annotated[int, Field(gt=2)], 2, "should be more than 2"),
    (Annotated[int, Field(ge=2)], 1, "should be at least 2"),
    (Annotated[int, Field(lt=2)], 2, "should be less than 2"),
    (Annotated[int, Field(le=2)], 3, "should be at most 2"),
    (AwareDatetime, "2026-01-01T00:00:00", "should have a time zone"),
    (bytes, 3, "should be a valid bytes"),
]


def refused(kind: Any, value: object) -> ValidationError:  # noqa: ANN401 - any type
    """Give the error that a value makes."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return caught.value


@pytest.mark.parametrize(("kind", "value", "said"), MISTAKES)
def test_a_mistake_in_plain_words(kind: object, value: object, said: str) -> None:
    """Each kind of mistake follows the name of what is wrong, and does not speak of inputs or fields."""
    (found,) = refused(kind, value).errors()

    assert plain(found).startswith(said)


def test_every_kind_with_words_is_tested() -> None:
    """No words are kept for what cannot be shown to happen."""
    shown = {error["type"] for kind, value, _ in MISTAKES for error in refused(kind, value).errors()}

    assert set(PLAIN) - shown == {"missing", "extra_forbidden"}


def test_what_a_validator_says_itself_may_hold_a_value() -> None:
    """Texts written by the author of a validator are left out of what is shown, and kept for who reads a file."""
    error = refused(Strict, {"key": SECRET, "sise": 1})

    assert mistakes(error) == [("key", "is not allowed"), ("sise", "is not a known key")]
    assert plain(error.errors()[0]).startswith("should not be")
    assert SECRET not in summary(error)


def test_many_mistakes_are_counted() -> None:
    """One line names the first mistakes and counts the others."""
    error = refused(list[Strict], [{} for _ in range(7)])

    assert summary(error) == f"{'; '.join(f'{place}.key: is missing' for place in range(5))}; and 2 more"
    assert summary(refused(int, "x")) == "should be a whole number"


def test_the_nearest_known_word_is_suggested() -> None:
    """A typing mistake is answered with the word that may be meant, nonsense with nothing."""
    assert did_you_mean("sise", Strict.model_fields) == "; did you mean size?"
    assert did_you_mean("zzzz", Strict.model_fields) == ""
