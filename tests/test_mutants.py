"""The tests of numbers, links and statuses notice planted mistakes; ``python tests/mutants.py`` plants many more."""

from __future__ import annotations

import pytest

import mutants


@pytest.mark.parametrize("module", mutants.TESTS)
def test_a_module_has_enough_mistakes_to_choose_from(module: str) -> None:
    """Each planted module differs from the others, so that no mistake is tried twice."""
    planted = mutants.mutants(module)

    assert len(planted) > 50
    assert len({mutant.source for mutant in planted}) == len(planted)


def test_the_same_seed_plants_the_same_mistakes() -> None:
    """A survivor can be planted again."""
    assert [str(mutant) for mutant in mutants.sample(6, 7)] == [str(mutant) for mutant in mutants.sample(6, 7)]
    assert [str(mutant) for mutant in mutants.sample(6, 7)] != [str(mutant) for mutant in mutants.sample(6, 8)]


def test_a_module_without_a_mistake_survives() -> None:
    """The tests pass in the copy of the package, so that a killed mutant was killed by its mistake."""
    source = (mutants.ROOT / "core" / "parcelhook" / "links.py").read_text(encoding="utf-8")

    assert mutants.survives(mutants.Mutant("links.py", 1, "", "", source))


def test_no_planted_mistake_survives() -> None:
    """A mistake in each module is noticed by its tests."""
    planted = mutants.sample(3, seed=1)

    assert [str(mutant) for mutant in mutants.survivors(planted)] == []
