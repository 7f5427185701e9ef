"""Configs spread over a space: the same for every table, evenly, and always whole."""

from __future__ import annotations

from collections import Counter

import pytest

from autometa.learners import available_learners, find_learner
from autometa.learners._base import TableShape
from autometa.search.spread import spread_configs
from autometa.spaces import Choice, Config, Float, Int, Parameter, Space, When
from autometa.tables._base import Target, TaskKind

BINARY = Target("y", TaskKind.BINARY, ("a", "b"))
VALUES = Target("y", TaskKind.REGRESSION)
SHAPES = {
    "numbers": TableShape(500, 6, 0, BINARY, has_prior=True),
    "categories": TableShape(800, 0, 5, BINARY, has_prior=True),
    "both": TableShape(30_000, 9, 5, VALUES, has_prior=True),
    "no prior": TableShape(500, 6, 2, VALUES),
}
SPACE = Space(
    (
        Parameter("trees", Choice(("few", "many")), "few"),
        Parameter("n", Int(10, 1000, log=True), 100, When("trees", ("many",))),
        Parameter("rate", Float(0.001, 1.0, log=True), 0.1),
        Parameter("share", Float(0.0, 1.0), 0.5),
        Parameter("depth", Int(1, 4), 2),
    )
)


def spread(learner: str, shape: str, n: int = 17, seed: int = 0) -> list[Config]:
    return list(spread_configs(learner, find_learner(learner).space(SHAPES[shape]), n, seed))


@pytest.mark.parametrize("learner", available_learners())
@pytest.mark.parametrize("shape", SHAPES)
def test_configs_are_whole_and_begin_with_the_default(learner: str, shape: str) -> None:
    """Each is in the space with its active settings and no others."""
    space = find_learner(learner).space(SHAPES[shape])
    configs = spread(learner, shape)
    assert len(configs) == 17
    assert configs[0] == space.defaults()
    assert all(config == space.complete(config) for config in configs)


@pytest.mark.parametrize("learner", available_learners())
def test_tables_of_other_shapes_get_the_same_values(learner: str) -> None:
    """A setting that two tables have, and no other choices of, is tried at the same values."""
    spaces = {name: find_learner(learner).space(SHAPES[name]) for name in ("numbers", "both")}
    domains = [{one.name: one.domain for one in space.parameters} for space in spaces.values()]
    same = {name for name in domains[0] if domains[0][name] == domains[1].get(name)}
    assert len(same) >= 3
    for one, other in zip(
        spread(learner, "numbers")[1:], spread(learner, "both")[1:], strict=True
    ):
        assert {k: v for k, v in one.items() if k in same} == {
            k: v for k, v in other.items() if k in same
        }


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_more_configs_begin_with_fewer(n: int) -> None:
    assert spread("lightgbm", "both", n) == spread("lightgbm", "both", 33)[:n]


def test_seeds_give_other_configs() -> None:
    assert spread("lightgbm", "both", seed=0)[1:] != spread("lightgbm", "both", seed=1)[1:]


def test_a_sequence_is_spread_evenly() -> None:
    """Of 64 points each sixteenth of an axis has four, however the domain is scaled."""
    configs = spread_configs("lightgbm", SPACE, 65, seed=3)[1:]
    shares = [int(float(str(config["share"])) * 16) for config in configs]
    assert set(Counter(shares).values()) == {4}
    tenths = Counter(float(str(config["rate"])) < 10**-1.5 for config in configs)
    assert tenths == {True: 32, False: 32}
    assert Counter(config["trees"] for config in configs) == {"few": 32, "many": 32}
    assert Counter(config["depth"] for config in configs) == dict.fromkeys(range(1, 5), 16)


def test_settings_that_are_not_called_for_are_left_out() -> None:
    configs = spread_configs("lightgbm", SPACE, 65, seed=3)
    assert all(("n" in config) == (config["trees"] == "many") for config in configs)
    sizes = [int(str(config["n"])) for config in configs if "n" in config]
    assert min(sizes) < 20
    assert max(sizes) > 500
