import pickle
from collections.abc import Sequence

import numpy as np
import pytest

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.search._base import Pruner, PruningPolicy
from autometa.search.curves import CurvePolicy, LearnedFoldPruner, learn_curve_model
from tests.search.curves.falling_curves import falling, history


@pytest.fixture(scope="module")
def pruner() -> LearnedFoldPruner:
    model = learn_curve_model(history(6, n=40))
    assert model is not None
    return LearnedFoldPruner(model)


def points(losses: Sequence[float], fold: int = 0) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(fold, step, loss) for step, loss in enumerate(losses, start=1))


def records(n: int, seed: int) -> list[TrialRecord]:
    curves = falling(n, seed).tolist()
    return [
        TrialRecord(
            number,
            "network",
            {},
            TrialState.COMPLETE,
            row[-1],
            (row[-1], row[-1] + 0.01 * number),
            (*points(row), *points(row, fold=1)),
        )
        for number, row in enumerate(curves)
    ]


def test_satisfies_the_contracts(pruner: LearnedFoldPruner) -> None:
    """It is what the driver asks, and what workers are sent and can be sent."""
    asked: Pruner = pruner
    policy: PruningPolicy = asked.policy(records(10, seed=1))
    copied = pickle.loads(pickle.dumps(policy))
    assert isinstance(copied, CurvePolicy)
    curve = points(falling(1, seed=2)[0].tolist())
    for n in range(1, len(curve)):
        assert copied.is_hopeless_in_fold("network", curve[:n]) == policy.is_hopeless_in_fold(
            "network", curve[:n]
        )


def test_hopeless_in_fold(pruner: LearnedFoldPruner) -> None:
    """The worst curve of a task is given up before its end, the best one never."""
    curves = falling(40, seed=6)
    ends = curves[:, -1]
    known = [
        TrialRecord(at, "network", {}, TrialState.COMPLETE, row[-1], (row[-1],), points(row))
        for at, row in enumerate(curves.tolist())
        if at not in (ends.argmin(), ends.argmax())
    ]
    policy = pruner.policy(known)
    best = points(curves[ends.argmin()].tolist())
    worst = points(curves[ends.argmax()].tolist())
    lengths = range(1, len(worst))
    assert any(policy.is_hopeless_in_fold("network", worst[:n]) for n in lengths)
    assert not any(policy.is_hopeless_in_fold("network", best[:n]) for n in lengths)
    assert not any(policy.is_hopeless_in_fold("forest", worst[:n]) for n in lengths)
    # better than the median is worth its time to the ensemble, whatever the model says
    middling = points(curves[np.argsort(ends)[15]].tolist())
    late = [n for n in lengths if n > 20]
    assert not any(policy.is_hopeless_in_fold("network", middling[:n]) for n in late)


def test_early_and_missing(pruner: LearnedFoldPruner) -> None:
    """With too few trials, an empty curve, or losses that are not finite, nothing is hopeless."""
    nan = points([float("nan")] * 20)
    assert not pruner.policy([]).is_hopeless_in_fold("network", nan)
    assert not pruner.policy(records(3, seed=1)).is_hopeless_in_fold("network", points([9.0] * 20))
    policy = pruner.policy(records(10, seed=1))
    assert not policy.is_hopeless_in_fold("network", ())
    assert not policy.is_hopeless_in_fold("network", nan)


def test_after_folds_as_the_fold_pruner(pruner: LearnedFoldPruner) -> None:
    """Fold losses are judged by the standards of `FoldPruner`."""
    known = records(12, seed=3)
    policy, plain = pruner.policy(known), pruner.folds.policy(known)
    for loss in np.linspace(-5, 50, 12).tolist():
        assert policy.is_hopeless_after_fold("network", [loss]) == plain.is_hopeless_after_fold(
            "network", [loss]
        )
    assert policy.is_hopeless_after_fold("network", [50.0])
