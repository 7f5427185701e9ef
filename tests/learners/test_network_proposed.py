"""The network learner where a prior proposes its network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from autometa.errors import LearnerError
from autometa.learners._base import FitContext, Model, TableShape
from autometa.learners.network import NetworkLearner
from autometa.metrics import find_metric
from autometa.priors.off import StandardStart
from autometa.priors.proposer.checkpoint import Prior, PriorCard, save_prior
from autometa.priors.proposer.generator import GeneratorShape
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.start import PriorStart
from autometa.spaces import Scalar
from autometa.tables._base import Sample, Target, TaskKind
from tests.priors.proposer.proposer_tables import mixed_table

TARGETS = {
    0: Target("y", TaskKind.REGRESSION),
    2: Target("y", TaskKind.BINARY, ("a", "b")),
    3: Target("y", TaskKind.MULTICLASS, ("a", "b", "c")),
}
PROPOSED: dict[str, Scalar] = {"start": "prior", "length": 0, "proposals": 2}


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> PriorStart:
    """A prior that knows nothing yet, but for the head that it solves for."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    card = PriorCard("test", "today", "abc", "none", 0, 0, 0, 0.0)
    proposer = Proposer(GeneratorShape(width=8, units=32))
    with torch.no_grad():  # columns are told apart
        for parameter in proposer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    save_prior(Prior(proposer, card), path)
    return PriorStart.of(path)


def split(n_classes: int, n_rows: int = 400) -> tuple[Sample, Sample]:
    sample = mixed_table(n_rows, n_classes=n_classes)
    cut = n_rows * 3 // 4
    return sample.take(np.arange(cut)), sample.take(np.arange(cut, n_rows))


def fit(
    n_classes: int, prior: PriorStart, config: dict[str, Scalar], *, has_stop: bool = True
) -> tuple[Model, Sample]:
    train, stop = split(n_classes)
    context = FitContext(TARGETS[n_classes], start=prior)
    return NetworkLearner().fit(config, train, stop if has_stop else None, context), stop


def loss(predicted: NDArray[np.float64], sample: Sample) -> float:
    if predicted.ndim == 1:
        return float(np.sqrt(np.mean((predicted - sample.target) ** 2)))
    own = predicted[np.arange(len(predicted)), sample.target.astype(int)]
    return float(-np.log(own).mean())


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_a_proposal_predicts_and_training_makes_it_better(
    n_classes: int, prior: PriorStart
) -> None:
    start, stop = fit(n_classes, prior, PROPOSED)
    trained, _ = fit(n_classes, prior, PROPOSED | {"length": 4})
    constant = stop.target.std() if n_classes == 0 else np.log(n_classes)
    assert start.n_steps == 0
    assert loss(start.predict(stop.features), stop) < constant
    assert loss(trained.predict(stop.features), stop) <= loss(start.predict(stop.features), stop)


@pytest.mark.parametrize("n_classes", [0, 3])
def test_a_saved_model_predicts_the_same(
    n_classes: int, prior: PriorStart, tmp_path: Path
) -> None:
    model, stop = fit(n_classes, prior, PROPOSED | {"length": 1})
    model.save(tmp_path)
    again = NetworkLearner().load(tmp_path)
    np.testing.assert_array_equal(again.predict(stop.features), model.predict(stop.features))


@pytest.mark.parametrize(
    ("frozen", "moved"),
    [("none", {"first", "blocks", "head"}), ("first", {"blocks", "head"}), ("body", {"head"})],
)
def test_what_is_frozen_stays_as_proposed(
    frozen: str, moved: set[str], prior: PriorStart, tmp_path: Path
) -> None:
    saved: list[dict[str, NDArray[np.float32]]] = []
    for place, length in enumerate((0, 1)):
        config = PROPOSED | {"length": length, "frozen": frozen}
        model, _ = fit(2, prior, config, has_stop=False)
        folder = tmp_path / str(place)
        folder.mkdir()
        model.save(folder)
        saved.append(load_file(folder / "network.safetensors"))
    changed = {
        name.split(".")[2]
        for name, one in saved[0].items()
        if name.startswith("module.") and not np.array_equal(one, saved[1][name])
    }
    assert changed == moved


def test_noise_moves_the_start_and_no_head_leaves_the_shares(prior: PriorStart) -> None:
    plain, stop = fit(3, prior, PROPOSED)
    noisy, _ = fit(3, prior, PROPOSED | {"start": "prior+noise", "noise": 0.5})
    assert not np.allclose(plain.predict(stop.features), noisy.predict(stop.features), atol=1e-3)
    headless, _ = fit(3, prior, PROPOSED | {"head": "zero"}, has_stop=False)
    predicted = headless.predict(stop.features)
    train, _ = split(3)
    shares = np.bincount(train.target.astype(int)) / len(train)
    np.testing.assert_allclose(predicted, np.broadcast_to(shares, predicted.shape), atol=0.01)


def test_the_standard_start_is_what_it_is_without_a_prior(prior: PriorStart) -> None:
    train, stop = split(2)
    small: dict[str, Scalar] = {"width": 32, "members": 1, "epochs": 4}
    without = NetworkLearner().fit(small, train, stop, FitContext(TARGETS[2]))
    with_prior, _ = fit(2, prior, small | {"start": "standard"})
    np.testing.assert_array_equal(
        without.predict(stop.features), with_prior.predict(stop.features)
    )


def test_counts_come_out_as_means_that_are_positive(prior: PriorStart) -> None:
    train, stop = split(0)
    rng = np.random.default_rng(0)
    counts = [
        replace(one, target=rng.poisson(np.exp(0.5 * one.target)).astype(np.float64))
        for one in (train, stop)
    ]
    metric = find_metric("mean_poisson_deviance", TaskKind.REGRESSION)
    context = FitContext(TARGETS[0], start=prior, metric=metric)
    config = PROPOSED | {"length": 4, "rate": 10.0}
    model = NetworkLearner().fit(config, counts[0], counts[1], context)
    predicted = model.predict(counts[1].features)
    assert (predicted > 0).all()
    constant = np.full(len(predicted), counts[0].target.mean())
    assert metric.loss(counts[1].target, predicted) < metric.loss(counts[1].target, constant)


def test_without_a_prior_a_proposal_cannot_be_asked_for() -> None:
    train, stop = split(2)
    for start in (None, StandardStart()):
        with pytest.raises(LearnerError, match="needs a prior"):
            NetworkLearner().fit(PROPOSED, train, stop, FitContext(TARGETS[2], start=start))


def test_the_space_has_starts_only_where_there_is_a_prior() -> None:
    learner = NetworkLearner()
    without = learner.space(TableShape(500, 4, 2, TARGETS[2]))
    with_prior = learner.space(TableShape(500, 4, 2, TARGETS[2], has_prior=True))
    assert "start" not in without.defaults()
    assert with_prior.defaults()["start"] == "prior"
    assert "width" not in with_prior.defaults()
    standard = with_prior.complete({"start": "standard"})
    assert {name: standard[name] for name in without.defaults()} == without.defaults()
    assert learner.relative_cost(with_prior.defaults()) < learner.relative_cost(standard)
