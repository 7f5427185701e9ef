"""Configs as points."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.search.coordinates import Coordinates
from autometa.search.responses.axes import Axes, as_range
from tests.search.past_tasks import BOWL, CONDITIONS


def test_numbers_stand_at_their_place_in_the_range() -> None:
    """Ends are 0 and 1; the middle is that of the scale, linear or logarithmic."""
    axes = Axes({"depth": IntDistribution(1, 9), "rate": FloatDistribution(1e-4, 1.0, log=True)})
    points = axes.encode([{"depth": 1, "rate": 1.0}, {"depth": 5, "rate": 0.01}, {"depth": 9}])
    np.testing.assert_allclose(points, [[0.0, 1.0], [0.5, 0.5], [1.0, 0.5]], atol=1e-12)


def test_options_have_a_column_each() -> None:
    """A choice is 1 in its option's column and 0 in the others; unknown ones lie between."""
    axes = Axes({"kind": CategoricalDistribution(["a", "b", "c", "d"])})
    points = axes.encode([{"kind": "c"}, {}, {"kind": "e"}])
    np.testing.assert_array_equal(points, [[0, 0, 1, 0], [0.25] * 4, [0.25] * 4])


def test_equal_options_of_different_types_are_different() -> None:
    """1, 1.0 and True are three options."""
    axes = Axes({"mixed": CategoricalDistribution([1, True, "1"])})
    points = axes.encode([{"mixed": True}, {"mixed": 1}, {"mixed": "1"}, {"mixed": 1.0}])
    np.testing.assert_array_equal(points[:3], [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(points[3], 1.0 / 3.0)


def test_settings_with_one_value_have_no_column() -> None:
    """What cannot differ measures no distance."""
    axes = Axes(
        {
            "fixed": FloatDistribution(2.0, 2.0),
            "only": CategoricalDistribution(["a"]),
            "x": IntDistribution(0, 4),
        }
    )
    assert axes.columns == (("x", None),)
    np.testing.assert_array_equal(axes.encode([{"fixed": 2.0, "only": "a", "x": 1}]), [[0.25]])
    assert Axes({"fixed": FloatDistribution(2.0, 2.0)}).encode([{}, {}]).shape == (2, 0)


def test_outsiders_stand_a_little_outside() -> None:
    """A number beyond the range keeps its side, and no more than a quarter of the range."""
    axes = Axes({"x": FloatDistribution(0.0, 10.0), "rate": FloatDistribution(0.1, 1.0, log=True)})
    points = axes.encode([{"x": 11.0, "rate": 0.0}, {"x": -1e9, "rate": 1e9}])
    np.testing.assert_allclose(points, [[1.1, -0.25], [-0.25, 1.25]])


@pytest.mark.parametrize("value", [True, "7", None, float("nan")])
def test_what_is_no_number_stands_in_the_middle(value: str | float | bool | None) -> None:
    """A value that a range cannot place tells nothing."""
    assert Axes({"x": IntDistribution(0, 9)}).encode([{"x": value}]).tolist() == [[0.5]]


def test_columns_name_what_encode_fills() -> None:
    """There is one name to each column, in the order of the space."""
    axes = Axes(BOWL)
    assert axes.columns == (
        ("rate", None),
        ("depth", None),
        ("kind", "tree"),
        ("kind", "line"),
        ("leaves", None),
    )
    assert axes.encode([{}]).shape == (1, 5)


def test_rows_and_configs_make_the_same_points() -> None:
    """Candidates, which are rows, lie where the past's configs do."""
    axes, coordinates = Axes(BOWL), Coordinates(BOWL, CONDITIONS)
    rows = coordinates.draw(50, np.random.default_rng(0))
    configs = [coordinates.config(row) for row in rows]
    np.testing.assert_allclose(coordinates.points(rows, axes), axes.encode(configs), atol=1e-12)


def test_choices_are_no_range() -> None:
    """A caller that mixes them up is told."""
    with pytest.raises(TypeError, match="neither of choices nor of numbers"):
        as_range(CategoricalDistribution(["a", "b"]))
