"""Scores of class probabilities, as pure functions of codes, probabilities and weights.

They agree with scikit-learn's wherever its are defined. Rows need not hold every class: a score
that the rows leave undefined (a ROC AUC of one class) is that of guessing, and classes without
rows are left out of averages. With two classes, scores that are of one class are of class 1.

Axes: N rows, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Targets = NDArray[np.int64] | NDArray[np.float64]
Score = Callable[[Targets, Floats, Floats | None], float]

# scikit-learn's clip of probabilities in log_loss, so that figures agree with other tools
PROBABILITY_FLOOR = float(np.finfo(np.float64).eps)

_TINY = float(np.finfo(np.float64).tiny)  # a class without rows or decisions scores 0
_N_TOP = 2  # scikit-learn's k


def log_loss(target: Targets, probabilities: Floats, weights: Floats | None = None) -> float:
    """Mean negative log probability of the true class, clipped as scikit-learn does."""
    true_class = probabilities[np.arange(len(target)), target.astype(np.int64)]
    clipped = np.clip(true_class, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return float(np.average(-np.log(clipped), weights=weights))


def brier_score(target: Targets, probabilities: Floats, weights: Floats | None = None) -> float:
    """Mean squared error of the probabilities."""
    squares = (probabilities**2).sum(axis=1)
    true_class = probabilities[np.arange(len(target)), target.astype(np.int64)]
    n_classes = probabilities.shape[1]
    # scikit-learn halves the sum for two classes, so that it is the squared error of one of them
    scale = 0.5 if n_classes == 2 else 1.0
    return scale * float(np.average(squares - 2 * true_class + 1, weights=weights))


def share_explained(
    loss: Score, target: Targets, probabilities: Floats, weights: Floats | None
) -> float:
    """D2: the part of the loss of these rows' own class shares that the probabilities save."""
    counts = np.bincount(target.astype(np.int64), weights, probabilities.shape[1])
    shares = np.tile(counts / counts.sum(), (len(target), 1))
    guessing = loss(target, shares, weights)
    if np.count_nonzero(counts) < 2:
        return 0.0
    return 1.0 - loss(target, probabilities, weights) / guessing


def roc_auc(
    target: Targets,
    probabilities: Floats,
    weights: Floats | None = None,
    *,
    is_by_rows: bool = False,
) -> float:
    """Of class 1 of two; of more, the mean of each against the rest, even or by their rows."""
    return _one_against_rest(_area_under_curve, (0.5, is_by_rows), target, probabilities, weights)


def roc_auc_of_pairs(
    target: Targets, probabilities: Floats, weights: Floats | None = None, *, is_by_rows: bool
) -> float:
    """The mean over pairs of classes, even or by their rows (Hand & Till 2001, equation 7)."""
    if probabilities.shape[1] == 2:
        return roc_auc(target, probabilities, weights)
    weights = np.ones(len(target)) if weights is None else weights
    areas: list[float] = []
    shares: list[float] = []
    for pair in combinations(np.unique(target.astype(np.int64)).tolist(), 2):
        rows = np.flatnonzero(np.isin(target, pair))
        both = [
            _area_under_curve(target[rows] == code, probabilities[rows, code], weights[rows])
            for code in pair
        ]
        areas.append(sum(both) / 2)
        shares.append(float(weights[rows].sum()) if is_by_rows else 1.0)
    return float(np.average(areas, weights=shares)) if areas else 0.5


def average_precision(
    target: Targets, probabilities: Floats, weights: Floats | None = None
) -> float:
    """The area under precision by recall, of class 1 of two, or the mean of each of more."""
    return _one_against_rest(_area_of_precision, (0.0, False), target, probabilities, weights)


def accuracy(target: Targets, probabilities: Floats, weights: Floats | None = None) -> float:
    """The share of rows whose most probable class is theirs."""
    return float(np.average(probabilities.argmax(axis=1) == target, weights=weights))


def top_two_accuracy(
    target: Targets, probabilities: Floats, weights: Floats | None = None
) -> float:
    """The share of rows whose class is one of the two most probable."""
    codes = target.astype(np.int64)
    own = probabilities[np.arange(len(codes)), codes][:, None]
    # as in scikit-learn a tie goes to the later class
    is_later = np.arange(probabilities.shape[1]) > codes[:, None]
    n_above = ((probabilities > own) | ((probabilities == own) & is_later)).sum(axis=1)
    return float(np.average(n_above < _N_TOP, weights=weights))


def balanced_accuracy(
    target: Targets, probabilities: Floats, weights: Floats | None = None
) -> float:
    """The mean over classes of the share of their rows decided rightly."""
    hits, of_class, _ = _confusion(target, probabilities, weights)
    return float(np.mean(hits[of_class > 0] / of_class[of_class > 0]))


def matthews(target: Targets, probabilities: Floats, weights: Floats | None = None) -> float:
    """The correlation of true and most probable classes."""
    hits, of_class, decided = _confusion(target, probabilities, weights)
    total = of_class.sum()
    if np.array_equal(hits, of_class):
        return 1.0  # scikit-learn calls one class, all right, 0
    covariance = hits.sum() * total - of_class @ decided
    variances = (total**2 - of_class @ of_class) * (total**2 - decided @ decided)
    return float(covariance / np.sqrt(variances)) if variances > 0 else 0.0


def decisions(name: str, average: str | None) -> Score:
    """F1, precision, recall or Jaccard of the most probable classes.

    `average` None is of class 1 of two, macro beyond.
    """
    return partial(_of_decisions, _OF_DECISIONS[name], average)


def _of_decisions(
    score: Callable[[Floats, Floats, Floats], Floats],
    average: str | None,
    target: Targets,
    probabilities: Floats,
    weights: Floats | None,
) -> float:
    hits, of_class, decided = _confusion(target, probabilities, weights)
    if average == "micro":
        sums = (counts.sum(keepdims=True) for counts in (hits, of_class, decided))
        return float(score(*sums)[0])
    scores = score(hits, of_class, decided)
    if average == "weighted":
        return float(np.average(scores, weights=of_class))
    if average is None and len(scores) == 2:
        return float(scores[1])
    return float(np.mean(scores[of_class + decided > 0]))


def _f1(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    return 2 * hits / np.maximum(of_class + decided, _TINY)


def _precision(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    del of_class
    return hits / np.maximum(decided, _TINY)


def _recall(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    del decided
    return hits / np.maximum(of_class, _TINY)


def _jaccard(hits: Floats, of_class: Floats, decided: Floats) -> Floats:
    return hits / np.maximum(of_class + decided - hits, _TINY)


_OF_DECISIONS = {"f1": _f1, "precision": _precision, "recall": _recall, "jaccard": _jaccard}


def _confusion(
    target: Targets, probabilities: Floats, weights: Floats | None
) -> tuple[Floats, Floats, Floats]:
    """By class (K,) the weight of rows rightly decided, of the class, and decided for it."""
    n_classes = probabilities.shape[1]
    codes, decided = target.astype(np.int64), probabilities.argmax(axis=1)
    weights = np.ones(len(codes)) if weights is None else weights
    hits = np.bincount(codes, weights * (codes == decided), n_classes).astype(np.float64)
    of_class = np.bincount(codes, weights, n_classes).astype(np.float64)
    return hits, of_class, np.bincount(decided, weights, n_classes).astype(np.float64)


def _one_against_rest(
    score: Callable[[NDArray[np.bool_], Floats, Floats], float],
    how: tuple[float, bool],
    target: Targets,
    probabilities: Floats,
    weights: Floats | None,
) -> float:
    """`how` is the score where it is undefined, and whether classes count by their rows."""
    undefined, is_by_rows = how
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    weights = np.ones(len(target)) if weights is None else weights
    scores: list[float] = []
    shares: list[float] = []
    for code in classes:
        is_class = target == code
        if is_class.any() and not is_class.all():
            scores.append(score(is_class, probabilities[:, code], weights))
            shares.append(float(weights[is_class].sum()) if is_by_rows else 1.0)
    return float(np.average(scores, weights=shares)) if scores else undefined


def _area_under_curve(is_class: NDArray[np.bool_], values: Floats, weights: Floats) -> float:
    """The share of pairs put in the right order, ties counting half; 10 times sklearn's speed."""
    positive, negative = _weights_by_value(is_class, values, weights)
    right = positive * (np.cumsum(negative) - negative / 2)
    return float(right.sum() / (positive.sum() * negative.sum()))


def _area_of_precision(is_class: NDArray[np.bool_], values: Floats, weights: Floats) -> float:
    """The mean over the class's rows of the precision at their value."""
    positive, negative = _weights_by_value(is_class, -values, weights)
    precision = np.cumsum(positive) / np.cumsum(positive + negative)
    return float((positive * precision).sum() / positive.sum())


def _weights_by_value(
    is_class: NDArray[np.bool_], values: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """The weight of the rows in and out of the class at each distinct value, ascending."""
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    inside = np.add.reduceat((weights * is_class)[order], starts)
    return inside, np.add.reduceat((weights * ~is_class)[order], starts)
