"""A prior passes only if it is better than luck on own tables, and no worse on synthetic ones."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from autometa.studies.learning.gates import (
    ALPHA,
    MARGIN,
    Verdict,
    chance_of_gain,
    judge_own,
    judge_synthetic,
)


def named(values: list[float]) -> dict[str, float]:
    return {f"t{place:02}": value for place, value in enumerate(values)}


def own_families(n: int) -> dict[str, str]:
    return {name: name for name in named([0.0] * n)}


def test_the_chance_of_a_gain_is_that_of_all_signs() -> None:
    """Worked out by hand: 1 of 32 for five gains, 2 of 4 for a gain that outweighs a loss."""
    assert chance_of_gain(np.array([-1.0, -2.0, -0.5, -3.0, -0.1])) == 1 / 32
    assert chance_of_gain(np.array([-2.0, 1.0])) == 0.5
    assert chance_of_gain(np.array([1.0, 1.0])) == 1.0
    assert chance_of_gain(np.zeros(6)) == 1.0
    assert chance_of_gain(np.array([-1.0, math.inf])) == 1.0
    assert chance_of_gain(np.array([])) == 1.0


def test_of_ranks_it_is_wilcoxons_test() -> None:
    """Signed ranks are differences whose signs Wilcoxon's exact test turns, too."""
    ranks = np.array([-7.0, -6.0, 5.0, -4.0, -3.0, -2.0, 1.0, -8.0])
    _, expected = wilcoxon(ranks, alternative="less", method="exact")
    assert chance_of_gain(ranks) == pytest.approx(expected)


def test_of_many_units_drawn_signs_say_nearly_the_same() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(-0.4, 1.0, 14)
    exact = chance_of_gain(differences)
    more = np.concatenate([differences, np.zeros(10)])  # which change no sum
    assert chance_of_gain(more) == pytest.approx(exact, abs=0.01)


def test_a_prior_that_is_as_good_passes_by_luck_as_rarely_as_is_said() -> None:
    rng = np.random.default_rng(1)
    n_passed = sum(chance_of_gain(rng.normal(size=10)) <= ALPHA for _ in range(2000))
    assert n_passed / 2000 == pytest.approx(ALPHA, abs=0.015)


def test_own_tables_must_gain_by_more_than_luck() -> None:
    before = named([1.0] * 8)
    gain = judge_own(before, named([0.9, 0.95, 0.97, 0.99, 0.9, 0.96, 0.98, 0.9]), own_families(8))
    assert gain.has_passed
    assert (gain.n_better, gain.n_units, gain.units) == (8, 8, "families")
    luck = judge_own(before, named([0.2, 1.1, 1.05, 1.1, 1.02, 1.0, 1.01, 1.1]), own_families(8))
    assert luck.difference < 0
    assert not luck.has_passed
    broken = judge_own(before, named([0.1] * 7 + [math.inf]), own_families(8))
    assert not broken.has_passed


def test_kin_count_once() -> None:
    """Ten tables of one family say no more than one of them, where there are others."""
    families = own_families(16) | dict.fromkeys(list(named([0.0] * 10)), "kin")
    new = [0.9] * 10 + [1.05] * 6
    gate = judge_own(named([1.0] * 16), named(new), families)
    assert (gate.n_tables, gate.n_units) == (16, 7)
    assert gate.difference > 0
    assert not gate.has_passed


def test_where_all_are_kin_tables_count() -> None:
    gate = judge_own(named([1.0] * 8), named([0.9] * 8), dict.fromkeys(own_families(8), "one"))
    assert (gate.units, gate.n_units, gate.has_passed) == ("tables", 8, True)


def test_few_tables_cannot_pass() -> None:
    gate = judge_own(named([1.0] * 4), named([0.1] * 4), own_families(4))
    assert not gate.has_passed


def test_synthetic_tables_may_lose_a_hair_and_no_more() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=80)
    noise = rng.normal(scale=0.01, size=80)
    for loss, passes in ((-0.05, True), (0.0, True), (MARGIN / 2, True), (2 * MARGIN, False)):
        gate = judge_synthetic(named(before.tolist()), named((before + noise + loss).tolist()))
        assert gate.has_passed is passes
    wild = before + rng.normal(scale=0.5, size=80)
    assert not judge_synthetic(named(before.tolist()), named(wild.tolist())).has_passed
    wild[3] = math.inf
    assert not judge_synthetic(named(before.tolist()), named(wild.tolist())).has_passed


def test_every_gate_must_be_passed_and_the_sentence_says_which_was_not() -> None:
    good = judge_own(named([1.0] * 8), named([0.9] * 8), own_families(8))
    bad = judge_own(named([1.0] * 8), named([1.1] * 8), own_families(8))
    before = [0.1 * place for place in range(20)]
    level = judge_synthetic(named(before), named(before))
    worse = judge_synthetic(named(before), named([one + 0.1 for one in before]))
    assert Verdict(good, level).has_passed
    assert not Verdict(bad, level).has_passed
    assert "which must be 0.05 at most" in Verdict(bad, level).sentence
    assert not Verdict(good, worse).has_passed
    assert "which must be 0.01 at most" in Verdict(good, worse).sentence
    assert Verdict(good, level, level).has_passed
    assert not Verdict(good, level, worse).has_passed
    assert "beside the one that comes with us" in Verdict(good, level, worse).sentence


def test_a_verdict_is_json_even_if_losses_are_not_numbers() -> None:
    gate = judge_own(named([1.0] * 6), named([0.9] * 5 + [math.inf]), own_families(6))
    level = judge_synthetic(named([0.0, 1.0]), named([0.0, 1.0]))
    values = json.loads(json.dumps(Verdict(gate, level, level).to_json(), allow_nan=False))
    assert values["own"]["loss_new"] is None
    assert values["has_passed"] is False
    assert values["shipped"]["has_passed"] is True
