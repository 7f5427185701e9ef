"""Learners pace themselves by the time there is, and only then."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autometa.learners import find_learner
from autometa.learners._base import FitContext, Model
from autometa.learners.boosting.pace import patience, rate_in_time
from autometa.tables._base import Features, Sample, Target, TaskKind

TARGET = Target("y", TaskKind.BINARY, ("no", "yes"))


class Clock:
    """A monitor that keeps the steps reported; `left` seconds are left, however long it takes."""

    def __init__(self, left: float) -> None:
        self.left = left
        self.steps: list[int] = []

    def report(self, step: int, loss: float) -> None:
        """Keep the step."""
        del loss
        self.steps.append(step)

    def is_time_up(self) -> bool:
        """Never: what is tested is what a learner plans."""
        return False

    def left_s(self) -> float:
        """The same at any time."""
        return self.left


def rows(n: int, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 3)).astype(np.float32)
    codes: NDArray[np.int32] = np.zeros((n, 0), np.int32)
    features = Features(numbers, codes, (), ("a", "b", "c"), ())
    noisy = numbers[:, 0] * numbers[:, 1] + rng.normal(size=n) > 0
    return Sample(features, noisy.astype(np.int64))


def fit(learner: str, left: float, config: dict[str, float | int | str]) -> tuple[Model, Clock]:
    clock = Clock(left)
    context = FitContext(TARGET, monitor=clock)
    return find_learner(learner).fit(config, rows(400, 0), rows(80, 1), context), clock


def lightgbm_rates(model: Model, folder: Path) -> list[float]:
    model.save(folder)
    return [
        float(rate)
        for rate in re.findall(r"shrinkage=(\S+)", (folder / "booster.txt").read_text())
    ]


@given(st.floats(0.001, 0.5), st.floats(0.1, 1e6))
def test_a_rate_is_raised_as_far_as_needed(rate: float, n_rounds: float) -> None:
    """Never lowered, left alone where rounds suffice, and at most 0.3 where they do not."""
    found = rate_in_time(rate, n_rounds)
    assert rate <= found <= max(rate, 0.3)
    if rate * n_rounds >= 8:
        assert found == rate
    elif found < 0.3:
        assert found * max(n_rounds, 1) == pytest.approx(8)


def test_patience_is_in_units_of_what_a_round_moves() -> None:
    """50 rounds at a rate of .05; never under 20 or over 150."""
    assert [patience(rate) for rate in (0.3, 0.05, 0.01)] == [20, 50, 150]


def test_lightgbm_takes_larger_steps_where_time_is_short(tmp_path: Path) -> None:
    """After a few rounds at the config's rate the others have a higher one; without need, none."""
    config: dict[str, float | int | str] = {"learning_rate": 0.02}
    for left, is_raised in ((1e-4, True), (math.inf, False), (1e6, False)):
        (folder := tmp_path / str(left)).mkdir()
        rates = lightgbm_rates(fit("lightgbm", left, config)[0], folder)
        # the first tree bears the starting value and is not shrunk
        assert rates[1] == pytest.approx(0.02)
        assert (max(rates[1:]) == pytest.approx(0.3)) is is_raised
        assert is_raised or max(rates[1:]) == pytest.approx(0.02)


def test_catboost_begins_again_with_larger_steps_where_time_is_short(tmp_path: Path) -> None:
    """Its rate cannot be changed midway, so the few rounds timed are thrown away."""
    for left, expected in ((1e-4, 0.3), (math.inf, 0.02)):
        (folder := tmp_path / str(left)).mkdir()
        model, clock = fit("catboost", left, {"learning_rate": 0.02})
        model.save(folder)
        options = json.loads(_catboost_options(folder))
        assert options["boosting_options"]["learning_rate"] == pytest.approx(expected)
        assert clock.steps == sorted(set(clock.steps))


def _catboost_options(folder: Path) -> str:
    from catboost import CatBoost

    trees = CatBoost()
    trees.load_model(str(next(folder.glob("*.cbm"))))
    return str(trees.get_metadata()["params"])


def test_a_network_plans_the_epochs_there_is_time_for() -> None:
    """With little time it ends after a few epochs, its schedule run to the end."""
    config: dict[str, float | int | str] = {"epochs": 64, "batch_size": 64}
    n_without_limit = fit("network", math.inf, config)[1].steps[-1]

    class Deadline(Clock):
        """As much time as is left of a twentieth of a second."""

        end = time.monotonic() + 0.05

        def left_s(self) -> float:
            return self.end - time.monotonic()

    clock = Deadline(0.0)
    find_learner("network").fit(
        config, rows(400, 0), rows(80, 1), FitContext(TARGET, monitor=clock)
    )
    assert clock.steps[-1] < n_without_limit / 2
