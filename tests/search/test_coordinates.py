"""Configs as rows, over random mixed spaces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from autometa.search.conditions import Condition, active
from autometa.search.coordinates import Coordinates
from autometa.search.responses.axes import Axes
from autometa.spaces import Config, Scalar
from tests.search.past_tasks import BOWL, CONDITIONS

_PARENT = CategoricalDistribution(["with", "without"])
_CONDITION = Condition("parent", frozenset({(str, "without")}))


@st.composite
def _ints(draw: st.DrawFn) -> IntDistribution:
    low, length, step = draw(st.integers(1, 9)), draw(st.integers(0, 200)), draw(st.integers(1, 7))
    if draw(st.booleans()):
        return IntDistribution(low, low + length, log=True)
    return IntDistribution(low - 5, low - 5 + length * step, step=step)


@st.composite
def _floats(draw: st.DrawFn) -> FloatDistribution:
    low, length = draw(st.floats(1e-5, 10.0)), draw(st.floats(0.01, 1e4))
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind == "step":
        return FloatDistribution(0.5, 0.5 + 0.25 * draw(st.integers(0, 40)), step=0.25)
    return FloatDistribution(low, low + length, log=kind == "log")


_OPTIONS: tuple[Scalar, ...] = ("a", "b", 1, 2, True, 0.5)


@st.composite
def _choices(draw: st.DrawFn) -> CategoricalDistribution:
    options = st.lists(st.sampled_from(_OPTIONS), min_size=1, max_size=4, unique_by=repr)
    return CategoricalDistribution(draw(options))


@st.composite
def _spaces(draw: st.DrawFn) -> Coordinates:
    """Up to five settings of any kind, some of which exist only beside their parent's option."""
    settings_: list[BaseDistribution] = draw(
        st.lists(st.one_of(_ints(), _floats(), _choices()), min_size=1, max_size=5)
    )
    distributions: dict[str, BaseDistribution] = {"parent": _PARENT}
    distributions |= {f"s{at}": one for at, one in enumerate(settings_)}
    children = draw(st.sets(st.sampled_from(range(len(settings_)))))
    return Coordinates(distributions, {f"s{at}": _CONDITION for at in children})


def _assert_sound(coordinates: Coordinates, config: Config) -> None:
    """Every value is one that Optuna takes, and what is under a condition is there if it holds."""
    for name, distribution in coordinates.distributions.items():
        condition = coordinates.conditions.get(name)
        assert (name in config) is (condition is None or condition.holds(config))
        if name in config:
            assert distribution._contains(distribution.to_internal_repr(config[name]))


@settings(deadline=None, max_examples=30)
@given(_spaces(), st.integers(0, 99))
def test_rows_of_configs_of_rows_are_the_rows(coordinates: Coordinates, seed: int) -> None:
    """Nothing is lost from row to config and back, whatever steps and scales ranges have."""
    rows = coordinates.draw(8, np.random.default_rng(seed))
    configs = [coordinates.config(row) for row in rows]
    np.testing.assert_allclose(coordinates.of(configs), rows, atol=1e-9)
    again = [coordinates.config(row) for row in coordinates.of(configs)]
    assert [list(one) for one in again] == [list(one) for one in configs]
    for one, other in zip(again, configs, strict=True):
        assert all(value == pytest.approx(other[name]) for name, value in one.items())
        assert [type(value) for value in one.values()] == [type(v) for v in other.values()]


@settings(deadline=None, max_examples=30)
@given(_spaces(), st.integers(0, 99))
def test_settling_twice_is_settling_once(coordinates: Coordinates, seed: int) -> None:
    """What is settled has values that exist, and stays."""
    rng = np.random.default_rng(seed)
    rows = coordinates.draw(8, rng)
    for column, distribution in enumerate(coordinates.distributions.values()):
        if not isinstance(distribution, CategoricalDistribution):
            rows[:, column] = rng.uniform(-0.5, 1.5, 8)
    settled = coordinates.settle(rows)
    np.testing.assert_allclose(coordinates.settle(settled), settled, atol=1e-9)
    for row in settled:
        _assert_sound(coordinates, coordinates.config(row))


@settings(deadline=None, max_examples=30)
@given(_spaces(), st.integers(0, 99), st.floats(0.01, 2.0), st.floats(0.0, 1.0))
def test_draws_and_steps_are_configs_of_the_space(
    coordinates: Coordinates, seed: int, length: float, part: float
) -> None:
    """However far a step goes, numbers stay inside their ranges and conditions hold."""
    rng = np.random.default_rng(seed)
    rows = coordinates.draw(8, rng)
    for row in np.vstack([rows, coordinates.step(rows, rng, length, part)]):
        _assert_sound(coordinates, coordinates.config(row))


@settings(deadline=None, max_examples=20)
@given(_spaces(), st.integers(0, 99))
def test_rows_are_points_where_their_configs_are(coordinates: Coordinates, seed: int) -> None:
    """By rows or by configs, on the space's own axes or on a wider one's, points are the same."""
    rows = coordinates.draw(6, np.random.default_rng(seed))
    configs = [coordinates.config(row) for row in rows]
    wider: dict[str, BaseDistribution] = {
        "parent": CategoricalDistribution(["other", "without", "with"]),
        "unknown": FloatDistribution(0.0, 1.0),
    }
    if not isinstance(coordinates.distributions["s0"], CategoricalDistribution):
        wider["s0"] = FloatDistribution(-10.0, 300.0)
    for space in (coordinates.distributions, wider):
        axes = Axes(space)
        np.testing.assert_allclose(coordinates.points(rows, axes), axes.encode(configs), atol=1e-9)


def test_numbers_are_shares_of_their_range() -> None:
    """By hand: the geometric middle on a log scale, the nearest step, the place of an option."""
    coordinates = Coordinates(
        {
            "rate": FloatDistribution(1e-4, 1.0, log=True),
            "step": FloatDistribution(0.0, 1.0, step=0.25),
            "odd": IntDistribution(1, 9, step=2),
            "kind": CategoricalDistribution(["a", "b", "c"]),
        },
        {},
    )
    row = np.array([0.5, 0.3, 0.3, 2.0])
    config = coordinates.config(row)
    assert config["rate"] == pytest.approx(0.01)
    assert (config["step"], config["odd"], config["kind"]) == (0.25, 3, "c")
    assert isinstance(config["odd"], int)
    np.testing.assert_allclose(coordinates.settle(row[None]), [[0.5, 0.25, 0.25, 2.0]])


def test_values_from_elsewhere_come_to_the_nearest_end() -> None:
    """A past value outside of the range is its end; an unknown option, or no number, is NaN."""
    coordinates = Coordinates(
        {"x": FloatDistribution(0.0, 2.0), "kind": CategoricalDistribution([1, "a"])}, {}
    )
    rows = coordinates.of(
        [{"x": 5.0, "kind": "b"}, {"x": -5, "kind": True}, {"x": True, "kind": 1}, {"x": "1"}]
    )
    np.testing.assert_array_equal(
        rows, [[1.0, np.nan], [0.0, np.nan], [np.nan, 0.0], [np.nan, np.nan]]
    )


def test_conditions_fall_level_by_level() -> None:
    """A grandchild is absent where its parent is, however the space is ordered."""
    coordinates = Coordinates(
        {"c": FloatDistribution(0.0, 1.0), "b": IntDistribution(0, 1), "a": IntDistribution(0, 1)},
        {
            "c": Condition("b", frozenset({(int, 0)})),
            "b": Condition("a", frozenset({(int, 0)})),
        },
    )
    settled = coordinates.settle(np.array([[0.3, 1.0, 1.0], [0.3, 0.0, 1.0], [0.3, 1.0, 0.0]]))
    nan = np.nan
    np.testing.assert_array_equal(settled, [[0.3, 1, 1], [nan, 0, 1], [nan, nan, 0]])


def test_a_condition_on_what_the_space_lacks_rules_nothing_out() -> None:
    """The past's conditions on settings that a study does not have are not its own."""
    coordinates = Coordinates({"leaves": BOWL["leaves"]}, CONDITIONS)
    np.testing.assert_array_equal(coordinates.settle(np.array([[0.4]])), [[0.4]])


def test_draws_are_even_and_repeatable() -> None:
    """Options and halves of ranges come as often as one another, and the same of a seed."""
    coordinates = Coordinates(BOWL, CONDITIONS)
    rows = coordinates.draw(4000, np.random.default_rng(0))
    np.testing.assert_array_equal(rows, coordinates.draw(4000, np.random.default_rng(0)))
    assert abs((rows[:, 0] < 0.5).mean() - 0.5) < 0.04
    assert abs((rows[:, 2] == 0.0).mean() - 0.5) < 0.04
    counts = np.bincount(np.round(rows[:, 1] * 8.0).astype(int), minlength=9)
    assert counts[1:-1].std() < 40.0  # the ends of a range of whole numbers get half


def test_steps_are_of_their_length() -> None:
    """With every setting moved, numbers move by a normal draw's length on average."""
    coordinates = Coordinates({"x": FloatDistribution(0.0, 1.0)}, {})
    rows = np.full((5000, 1), 0.5)
    moved = coordinates.step(rows, np.random.default_rng(0), 0.08, 1.0)
    assert (moved - rows).std() == pytest.approx(0.08, rel=0.05)
    assert (moved - rows).mean() == pytest.approx(0.0, abs=0.005)


def test_what_leaves_a_range_comes_back_from_its_end() -> None:
    """Steps from an end are half a normal draw inside, and do not heap up at the end."""
    coordinates = Coordinates({"x": FloatDistribution(0.0, 1.0)}, {})
    for end in (0.0, 1.0):
        moved = coordinates.step(np.full((5000, 1), end), np.random.default_rng(0), 0.1, 1.0)
        away = np.abs(moved - end)
        assert away.mean() == pytest.approx(0.1 * (2.0 / np.pi) ** 0.5, rel=0.05)
        assert (away == 0.0).sum() <= 1


def test_few_settings_move_with_a_small_chance() -> None:
    """With no chance at all, one number of ten moves, and the others stay as they are."""
    coordinates = Coordinates({f"x{at}": FloatDistribution(0.0, 1.0) for at in range(10)}, {})
    rows = np.full((50, 10), 0.5)
    moved = coordinates.step(rows, np.random.default_rng(0), 0.1, 0.0)
    assert ((moved != rows).sum(1) == 1).all()


def test_what_comes_to_exist_gets_a_value() -> None:
    """A step to the option beside which a setting exists draws that setting too."""
    coordinates = Coordinates(BOWL, CONDITIONS)
    lines = coordinates.of([{"rate": 0.1, "depth": 3, "kind": "line"}] * 200)
    moved = coordinates.step(lines, np.random.default_rng(0), 0.05, 0.5)
    is_tree = moved[:, 2] == 0.0
    assert 0 < is_tree.sum() < 200
    assert np.isfinite(moved[is_tree, 3]).all()
    assert np.isnan(moved[~is_tree, 3]).all()
    assert moved[is_tree, 3].std() > 0.1


@pytest.mark.parametrize(
    ("given_values", "is_whole"),
    [
        ({0: 0.5, 1: 0.5, 2: 1.0}, True),
        ({0: 0.5, 1: 0.5, 2: 0.0}, False),
        ({0: 0.5, 1: 0.5, 2: 0.0, 3: 0.1}, True),
        ({0: 0.5, 1: 0.5}, False),
        ({}, False),
    ],
)
def test_a_config_is_whole_if_no_setting_that_exists_is_open(
    given_values: Mapping[int, float], is_whole: bool
) -> None:
    """A line has no leaves to be given; a tree has."""
    assert Coordinates(BOWL, CONDITIONS).is_whole(given_values) is is_whole


def test_choices_where_another_space_has_numbers_tell_nothing() -> None:
    """On the axes of a space in which a setting is of another kind it stands in the middle."""
    coordinates = Coordinates(BOWL, CONDITIONS)
    axes = Axes({"kind": FloatDistribution(0.0, 1.0), "depth": CategoricalDistribution([1, 3])})
    points = coordinates.points(coordinates.of([{"kind": "line", "depth": 3}]), axes)
    np.testing.assert_array_equal(points, [[0.5, 0.5, 0.5]])


def test_settling_is_leaving_out_what_is_not_active() -> None:
    """Rows and configs lose the same settings by the same conditions."""
    coordinates = Coordinates(BOWL, CONDITIONS)
    config: Config = {"rate": 0.1, "depth": 3, "kind": "line", "leaves": 0.2}
    settled = coordinates.settle(coordinates.of([config]))
    assert set(coordinates.config(settled[0])) == set(active(config, CONDITIONS))
