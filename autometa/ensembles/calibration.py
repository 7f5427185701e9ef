"""Whether probabilities mean what they say, and one temperature to make them.

Guo et al., "On Calibration of Modern Neural Networks" (2017).

Axes: N rows, K classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]

# the clip of scikit-learn's log_loss, so that what is improved is what is scored
_FLOOR = float(np.finfo(np.float64).eps)
# Before any row is seen, log temperature is taken as normal with this deviation: without it a part
# of the rows that is separable asks for all the certainty there is, and other rows pay for it.
_PRIOR_STD = 0.3
_MOST_LOG_INVERSE = 1.0  # up to here the penalty is convex in the inverse temperature
_N_FOLDS = 5
_N_NOISES = 2.0  # a gain below two standard errors is taken for chance


def fit_temperature(
    probabilities: Floats,
    target: Codes,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> float:
    """The temperature that lowers the log loss most, for `apply_temperature`, drawn towards 1.

    It is 1 unless temperatures fitted on other rows, or other groups (N,) of rows, lower the log
    loss of rows by more than noise.
    """
    logs = _logs(probabilities)
    row_weights = np.ones(len(target)) if weights is None else weights
    units = np.arange(len(target)) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = len(np.unique(units))
    n_folds = _N_FOLDS if groups is None else min(_N_FOLDS, n_units)
    # a fixed seed: the folds only have to be blind to the order of the rows
    folds = (np.random.default_rng(0).permutation(n_units) % _N_FOLDS)[units]
    gains = np.zeros(len(target))
    for fold in range(n_folds):
        rest, held = folds != fold, folds == fold
        if not row_weights[rest].any() or not held.any():
            return 1.0
        temperature = _best_temperature(logs[rest], target[rest], row_weights[rest])
        before = _row_losses(logs[held], target[held])
        gains[held] = before - _row_losses(logs[held] / temperature, target[held])
    share = row_weights / row_weights.sum()
    gain = float(share @ gains)
    noise = float(np.linalg.norm(np.bincount(units, share * (gains - gain))))
    is_real = gain > _N_NOISES * noise and gain > 0
    return _best_temperature(logs, target, row_weights) if is_real else 1.0


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities (N, K) raised to 1 / temperature and normalised."""
    if temperature == 1.0:
        return probabilities
    logs = _logs(probabilities) / temperature
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)


def expected_calibration_error(
    probabilities: Floats, target: Codes, weights: Floats | None = None, n_bins: int = 15
) -> float:
    """Mean distance between confidence and accuracy of the most probable class, by bins.

    Bins are of equal width in confidence and weigh by their rows (Guo et al., equation 3).
    """
    row_weights = np.ones(len(target)) if weights is None else weights
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == target
    bins = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
    gaps = np.bincount(bins, row_weights * (is_right - confidence), minlength=n_bins)
    return float(np.abs(gaps).sum() / row_weights.sum())


def _best_temperature(logs: Floats, target: Codes, weights: Floats) -> float:
    """Bisection on the slope of the penalised log loss in the log of the inverse temperature.

    The loss is summed over as many rows as the weights amount to (Kish's effective sample size),
    so that many rows outweigh the penalty (log T)^2 / (2 std^2).
    """
    counts = weights * (weights.sum() / (weights**2).sum())
    true_logs = float(counts @ logs[np.arange(len(target)), target])
    low, high = -_MOST_LOG_INVERSE, _MOST_LOG_INVERSE
    for _ in range(25):  # to a relative 1e-7
        middle = (low + high) / 2
        inverse = float(np.exp(middle))
        scaled = np.exp(inverse * (logs - logs.max(axis=1, keepdims=True)))
        expected = (scaled * logs).sum(axis=1) / scaled.sum(axis=1)
        slope = inverse * (float(counts @ expected) - true_logs) + middle / _PRIOR_STD**2
        if slope > 0:
            high = middle
        else:
            low = middle
    return float(np.exp(-(low + high) / 2))


def _row_losses(logs: Floats, target: Codes) -> Floats:
    highest = logs.max(axis=1)
    total = highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))
    return np.asarray(total - logs[np.arange(len(target)), target], np.float64)


def _logs(probabilities: Floats) -> Floats:
    return np.asarray(np.log(np.clip(probabilities, _FLOOR, 1.0)), np.float64)
