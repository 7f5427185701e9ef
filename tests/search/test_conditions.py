"""Conditions told from configs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autometa.search.conditions import Condition, active, find_conditions
from autometa.search.coordinates import Coordinates
from autometa.spaces import Config, Scalar
from tests.search.past_tasks import BOWL, CONDITIONS


def test_the_bowls_conditions_are_found_from_their_configs() -> None:
    """What a space declared is told again from thirty draws of it."""
    coordinates = Coordinates(BOWL, CONDITIONS)
    rows = coordinates.draw(30, np.random.default_rng(0))
    assert find_conditions([coordinates.config(row) for row in rows]) == CONDITIONS


def test_a_chain_of_conditions_is_found() -> None:
    """Momentum exists beside sgd only, and sgd's nesterov beside momentum only."""
    configs: list[Config] = [
        {"model": "line"},
        {"model": "net", "optimizer": "adam"},
        {"model": "net", "optimizer": "sgd", "momentum": 0.9},
    ]
    found = find_conditions(configs)
    assert found["optimizer"] == Condition("model", frozenset({(str, "line")}))
    assert found["momentum"] == Condition("optimizer", frozenset({(str, "adam")}))


def test_settings_that_all_configs_have_are_under_none() -> None:
    """Without an absence there is no condition."""
    assert find_conditions([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]) == {}
    assert find_conditions([]) == {}


def test_absences_without_pattern_are_under_none() -> None:
    """Where a value goes with and without a setting, it tells nothing of it."""
    configs: list[Config] = [{"a": 1, "b": 1}, {"a": 1}, {"a": 2, "b": 2}, {"a": 2}]
    assert find_conditions(configs) == {}


def test_broken_numbers_are_no_parents() -> None:
    """Each config has a number of its own: that it tells an absence is chance."""
    configs: list[Config] = [
        {"rate": at / 10.0, **({"b": 1} if at % 2 else {})} for at in range(8)
    ]
    assert find_conditions(configs) == {}


def test_of_two_parents_the_one_that_is_never_absent_is_taken() -> None:
    """Then the first by name: the same configs in any order have the same conditions."""
    configs: list[Config] = [
        {"z": 1, "y": 1, "rare": 1, "child": 0.5},
        {"z": 2, "y": 2, "rare": 2},
        {"z": 2, "y": 2},
    ]
    for order in (configs, configs[::-1]):
        assert find_conditions(order)["child"] == Condition("y", frozenset({(int, 2)}))


def test_true_and_one_are_different_values() -> None:
    """A setting that exists beside 1 may be absent beside True."""
    condition = find_conditions([{"a": 1, "b": 0}, {"a": True}])["b"]
    assert condition.holds({"a": 1})
    assert not condition.holds({"a": True})


def test_a_value_that_was_never_seen_rules_nothing_out() -> None:
    """Only what was seen without the setting is known to exclude it."""
    condition = Condition("kind", frozenset({(str, "line")}))
    assert condition.holds({"kind": "forest"})
    assert not condition.holds({})


def test_what_hangs_on_an_absent_setting_is_absent() -> None:
    """Activity falls through a chain, in whatever order conditions are told."""
    conditions = {
        "c": Condition("b", frozenset({(int, 0)})),
        "b": Condition("a", frozenset({(int, 0)})),
    }
    config: Config = {"a": 0, "b": 1, "c": 1, "d": 1}
    assert active(config, conditions) == {"a": 0, "d": 1}
    assert active({**config, "a": 1}, conditions) == {**config, "a": 1}
    assert config == {"a": 0, "b": 1, "c": 1, "d": 1}


_values: st.SearchStrategy[Scalar] = st.sampled_from(["x", "y", 1, True, 2, None])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), _values), max_size=10))
def test_configs_obey_the_conditions_that_are_told_from_them(configs: list[Config]) -> None:
    """A condition holds for just the configs that have its setting; none loses a setting."""
    conditions = find_conditions(configs)
    for config in configs:
        assert active(config, conditions) == config
        for name, condition in conditions.items():
            assert condition.holds(config) is (name in config)


@pytest.mark.parametrize("n_values", [64, 65])
def test_a_parent_has_few_values(n_values: int) -> None:
    """A whole number of many values is no parent: it would tell any absence."""
    configs: list[Config] = [{"n": at, **({"b": 1} if at % 2 else {})} for at in range(n_values)]
    assert ("b" in find_conditions(configs)) is (n_values == 64)
