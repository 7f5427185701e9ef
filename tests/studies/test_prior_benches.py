"""The prior's benchmarks: rows are split honestly, verdicts count rightly, runs go on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autometa.errors import OptionError
from autometa.priors.proposer.checkpoint import Prior, PriorCard, save_prior
from autometa.priors.proposer.generator import GeneratorShape
from autometa.priors.proposer.proposer import Proposer
from autometa.studies.benchmarks.peers import OURS, Run
from autometa.studies.benchmarks.priors import _rivals
from autometa.studies.benchmarks.priors._arms import (
    loss_on_test,
    proposed_start,
    run_steps,
    standard_start,
)
from autometa.studies.benchmarks.priors._measuring import Measured, scalings, untrained_like
from autometa.studies.benchmarks.priors._rows import draw_table_rows
from autometa.studies.benchmarks.priors._verdict import best_rate, compare
from autometa.studies.benchmarks.priors.initial_weights import choose_listed
from autometa.studies.benchmarks.priors.prior_effect import effects, verdict
from autometa.studies.benchmarks.priors.prior_parts import VARIANTS, part_families, recipe_of
from autometa.studies.table_folders import ListedTable
from tests.studies.bench_output import bench
from tests.studies.small_tables import TARGETS, mixed_frame, mixed_table


def prior_of(families: tuple[str, ...] = ()) -> Prior:
    torch.manual_seed(0)
    card = PriorCard("test", "today", "abc", "none", 0, 0, 0, 0.0, families=families)
    return Prior(Proposer(GeneratorShape(width=8, units=16)), card)


@pytest.mark.parametrize("kind", list(TARGETS))
def test_rows_are_drawn_apart_and_classes_are_those_of_training(kind: str) -> None:
    table = mixed_table(kind, 300)
    drawn = draw_table_rows(table, "f", 100, np.random.default_rng(0))
    assert drawn is not None
    assert len(drawn.train) == 100
    assert 150 < len(drawn.test) <= 200
    both = np.concatenate([drawn.train.features.numbers, drawn.test.features.numbers])
    assert len(np.unique(both, axis=0)) == len(both)
    if kind == "regression":
        assert drawn.train.target.std() == pytest.approx(1.0)
    else:
        assert set(drawn.test.target) <= set(drawn.train.target)
    train, stop = drawn.without_last(20)
    assert (len(train), len(stop)) == (80, 20)


@pytest.mark.parametrize("kind", list(TARGETS))
def test_every_arm_learns(kind: str) -> None:
    drawn = draw_table_rows(mixed_table(kind, 600), "f", 400, np.random.default_rng(0))
    assert drawn is not None
    shares = np.bincount(drawn.train.target.astype(int)) / 400 if drawn.n_classes else None
    constant = 1.0 if shares is None else -np.log(shares[drawn.test.target.astype(int)]).mean()
    proposer = prior_of().proposer
    for name in _rivals.RIVALS:
        predicted = _rivals.predict(name, drawn)
        assert predicted.shape[1:] == ((drawn.n_classes,) if drawn.n_classes else ())
        assert len(predicted) == len(drawn.test)
    start = proposed_start(proposer, drawn, 2, 0)
    at_once = loss_on_test(start.module, start.test, drawn)
    assert at_once < 1.1 * constant
    assert run_steps(standard_start(drawn, 4, 0), drawn, 60, 0) < constant
    assert run_steps(start, drawn, 60, 0) < at_once


def test_one_rate_takes_the_place_of_all() -> None:
    drawn = draw_table_rows(mixed_table("binary", 200), "f", 100, np.random.default_rng(0))
    assert drawn is not None
    start = proposed_start(prior_of().proposer, drawn, 1, 0).with_one_rate(0.01)
    assert {one.factor for one in start.rates.values()} == {0.01}


def test_the_untrained_twin_is_of_the_same_shape_and_another_start() -> None:
    proposer = prior_of().proposer
    state = torch.random.get_rng_state()
    twin = untrained_like(proposer, 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = zip(twin.parameters(), proposer.parameters(), strict=True)
    assert all(a.shape == b.shape for a, b in pairs)
    assert not torch.equal(twin.generator.first_bias, proposer.generator.first_bias)


def test_tables_of_known_families_are_left_out_and_families_come_once() -> None:
    manifest = [ListedTable(f"t{i}", "binary", "y", 200, f"f{i // 2}") for i in range(8)]
    chosen = choose_listed(manifest, prior_of(("f0",)), "all", 10, 0)
    assert sorted(table.family for table in chosen) == ["f1", "f2", "f3"]
    with pytest.raises(OptionError, match="trained on all families"):
        choose_listed(manifest, prior_of(("f0", "f1", "f2", "f3")), "all", 10, 0)


def test_tables_count_by_their_means_over_seeds() -> None:
    def of(name: str, *losses: tuple[float, float]) -> Measured:
        seeds = {seed: {"a": a, "b": b} for seed, (a, b) in enumerate(losses)}
        return Measured(name, "binary", name, 100, seeds)

    measured = [of("x", (1.0, 2.0), (2.0, 1.5)), of("y", (3.0, 1.0)), of("z", (1.0, 1.0))]
    measured[2].by_seed[1] = {"a": 1.0}  # b failed
    found = compare(measured, "a", "b")
    assert (found.n_tables, found.n_better, found.n_diverged) == (2, 1, 0)
    measured.append(of("w", (math.inf, math.inf)))
    again = compare(measured, "a", "b")
    assert (again.n_tables, again.n_better, again.n_diverged) == (3, 1, 1)
    assert found.ratio == pytest.approx(math.sqrt(1.5 / 1.75 * 3.0))


def test_the_best_single_rate_is_that_of_the_lowest_mean() -> None:
    losses = {f"one rate {rate} at 50": loss for rate, loss in ((0.0001, 2.0), (0.001, 1.0))}
    assert best_rate([Measured("x", "binary", "f", 9, {0: losses})]) == 0.001


def test_columns_in_other_units_make_no_loop_diverge() -> None:
    drawn = draw_table_rows(mixed_table("binary", 200), "f", 60, np.random.default_rng(0))
    assert drawn is not None
    for scaled in [*scalings(drawn, 0)][:5]:
        assert np.isfinite(
            scaled.train.features.numbers[~np.isnan(drawn.train.features.numbers)]
        ).all()
        start = proposed_start(prior_of().proposer, scaled, 1, 0)
        assert math.isfinite(run_steps(start, scaled, 20, 0))


def test_smoothed_shares_are_no_zeros() -> None:
    found = _rivals.smoothed(np.array([[1.0, 0.0], [0.5, 0.5]]))
    np.testing.assert_allclose(found.sum(1), 1.0)
    assert found.min() > 0.004


def test_noise_is_what_seeds_differ_by() -> None:
    def run(table: str, loss: float, options: str) -> Run:
        return Run(table, "binary", OURS, 10.0, 0, loss, 1.0, "0", None, options)

    def pairs(table: str, *losses: tuple[float, float]) -> list[tuple[Run, Run]]:
        return [(run(table, a, ""), run(table, b, "--no-prior")) for a, b in losses]

    losses = [(0.50 + 0.01 * seed, 0.6) for seed in range(5)]
    worse = [(0.70 + 0.01 * seed, 0.6) for seed in range(5)]
    noisy = [(0.9, 0.5), (0.5, 0.6), (0.9, 0.6), (0.4, 0.6), (0.8, 0.6)]
    failed = [
        (replace(a, loss=None, error="gone") if place == 0 else a, b)
        for place, (a, b) in enumerate(pairs("failed", *losses))
    ]
    found = effects(
        {
            "better": pairs("better", *losses),
            "worse": pairs("worse", *worse),
            "noisy": pairs("noisy", *noisy),
            "failed": failed,
        }
    )
    assert [one.is_better for one in found] == [True, False, False, False]
    assert [one.is_worse_beyond_noise for one in found] == [False, True, False, True]
    assert verdict(found)["n_tables"] == 4
    assert verdict(found)["n_failed_with_the_prior_alone"] == 1


def write_tables(folder: Path) -> list[str]:
    """Three tables of three families; the options that name them."""
    lines = ["slug,task,target,rows,family"]
    for kind, target in TARGETS.items():
        others = [name for name in TARGETS.values() if name != target]
        mixed_frame(200).drop(others).write_parquet(folder / f"{kind}.parquet")
        lines.append(f"{kind},{kind},{target},200,{kind}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return ["--tables", str(folder), "--manifest", str(folder / "manifest.csv"), "--half", "all"]


def test_the_benchmark_measures_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_tables(tmp_path)
    save_prior(prior_of(), tmp_path / "p.safetensors")
    results = tmp_path / "r.jsonl"
    words = [
        "initial-weights",
        *given,
        *("--prior-file", str(tmp_path / "p.safetensors"), "--results", str(results)),
        *("--n-seeds", "2", "--rows", "100", "--members", "4"),
        *("--part", "zero", "--part", "rates", "--quiet", "--json"),
    ]
    first = bench(capsys, *words)
    assert len(first["tables"]) == 3
    named = {(one["first"], one["second"]) for one in first["comparisons"]}
    assert ("prior x4 at 0", "random forest") in named
    assert "learned rates at 50" in {one for one, _ in named}
    assert first["seconds"]["longest"] >= first["seconds"]["mean"] > 0
    n_lines = len(results.read_text().splitlines())
    assert bench(capsys, *words)["comparisons"] == first["comparisons"]
    assert len(results.read_text().splitlines()) == n_lines == 3 * 2 * 2


def test_parts_are_compared_with_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_tables(tmp_path)
    words = ["prior-parts", *given, "--work", str(tmp_path / "work"), "--scale", "1e-4"]
    variants = ["no attention", "no modulation", "no category codes", "real alone"]
    asked = [word for name in variants for word in ("--variant", name)]
    few = ("--rows", "100", "--n-seeds", "2", "--quiet", "--json")
    first = bench(capsys, *words, *asked, *few)
    assert [one["first"] for one in first["comparisons"]] == ["untrained", *variants]
    assert all(one["second"] == "whole" for one in first["comparisons"])
    assert {one["n_tables"] for one in first["comparisons"]} == {1}  # a third of the families
    # what was trained is there, and gives the same
    assert bench(capsys, *words, *asked, *few)["comparisons"] == first["comparisons"]


def test_every_variant_differs_from_the_whole_in_its_part() -> None:
    whole = recipe_of("whole", 0.1, 0)
    assert [phase.n_steps for phase in whole.phases] == [(0,)]
    others = [recipe_of(name, 0.1, 0) for name in VARIANTS if name != "whole"]
    assert all(one != whole for one in others)
    assert len({str(one.facts()) for one in others}) == len(others)


def test_judged_families_are_not_trained_on_and_come_once() -> None:
    manifest = [ListedTable(f"t{i}", "binary", "y", 200 + i, f"f{i // 2}") for i in range(12)]
    training, judged = part_families(manifest, 0)
    assert not {one.family for one in training} & {one.family for one in judged}
    assert (len(training), len(judged)) == (8, 2)
    assert all(int(one.slug[1:]) % 2 for one in judged)  # the larger of each
