"""A small ensemble that forecasts how much of a loss's fall is still to come, and until when.

Each member leaves out some tasks, stops its own training where the forecast of those is best, and
all are calibrated on what they left out.

Axes: M members, P prefixes, I inputs, K horizons. Of K + 1 outputs or targets the last is the way
to the best step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from autometa.bundles import Bundle
from autometa.errors import ModelError
from autometa.metalearning.stopping._base import Floats

_N_MEMBERS, _WIDTH = 10, 24
_N_STEPS, _EVERY, _BATCH, _RATE = 400, 20, 512, 1e-2
# A prior on the weights counts as 1 / tasks of what the tasks say. On synthetic curves this was
# best of 25, 75 and 200 for 25, 50, 150 and 400 tasks, with a slope of calibration near 1.
_DECAY_TIMES_TASKS = 25.0
_REACH = 4.0  # deviations beyond which an input counts no further
_LAYERS = ("w1", "b1", "w2", "b2", "w3", "b3")


class Forecast(NamedTuple):
    """Shares of the fall still to come (M, K), and ways to the best step (M,); see `gains`."""

    shares: Floats
    ways: Floats


@dataclass(frozen=True, slots=True, eq=False)  # arrays have no one truth
class Forecaster:
    """Forecasts from inputs (I,); shares are 1 - exp(-c), where c rises from horizon to horizon.

    `layers` are those of M networks of two hidden layers; a share of log odds o is calibrated to
    log odds `slope` * o + `shift`. `skill` is 1 minus the squared error of shares on tasks left
    out over that of always saying each horizon's average.
    """

    center: Floats
    scale: Floats
    layers: Mapping[str, NDArray[np.float32]]
    slope: float
    shift: float
    skill: float

    def forecast(self, inputs: Floats) -> Forecast:
        """What each member says of inputs (I,); a missing input counts as average."""
        scaled = torch.from_numpy(_scaled(inputs[None], self.center, self.scale))
        layers = {name: torch.from_numpy(array) for name, array in self.layers.items()}
        with torch.no_grad():
            odds = _log_odds(_hazards(layers, scaled))[:, 0].double().numpy()
        shares = self.slope * odds[:, :-1] + self.shift
        return Forecast(1 / (1 + np.exp(-shares)), 1 / (1 + np.exp(-odds[:, -1])))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What `of` needs, as arrays by name."""
        calibration = np.array([self.slope, self.shift, self.skill])
        return {
            "center": self.center,
            "scale": self.scale,
            "calibration": calibration,
            **self.layers,
        }

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """The forecaster of these arrays; raises `ModelError` if they are damaged."""
        center, scale = (bundle.array(name, 1, np.float64) for name in ("center", "scale"))
        layers = {name: bundle.array(name, 3, np.float32) for name in _LAYERS}
        calibration = bundle.array("calibration", 1, np.float64)
        ends = [layers[name].shape[1:] for name in _LAYERS]
        n_inputs, width, n_outputs = len(center), ends[0][1], ends[4][1]
        expected = [(n_inputs, width), (1, width), (width, width), (1, width)]
        expected += [(width, n_outputs), (1, n_outputs)]
        if ends != expected or len(scale) != n_inputs or len(calibration) != 3:
            raise ModelError("the stop strategy's arrays do not fit together: save it again")
        return cls(center, scale, layers, *calibration.tolist())


def fit_forecaster(
    inputs: Floats,
    targets: Floats,
    is_known: NDArray[np.bool_],
    tasks: NDArray[np.int64],
    seed: int,
) -> Forecaster:
    """Learn from inputs (P, I), targets (P, K + 1) where `is_known`, of `tasks` (P,)."""
    rng = np.random.default_rng(seed)
    center, scale = center_and_scale(inputs)
    x = torch.from_numpy(_scaled(inputs, center, scale))
    y = torch.from_numpy(targets.astype(np.float32))
    weights = torch.from_numpy(is_known.astype(np.float32))
    groups, owner = np.unique(tasks, return_inverse=True)
    folds = rng.permutation(len(groups))[owner] % _N_MEMBERS
    is_out = torch.from_numpy(folds[None] == np.arange(_N_MEMBERS)[:, None])
    layers = _train(x, y, weights, is_out, _DECAY_TIMES_TASKS / len(groups), rng)
    with torch.no_grad():
        odds = _log_odds(_hazards(layers, x))
    member = torch.from_numpy(folds)
    left_out = odds[member, torch.arange(len(x)), :-1].double().numpy()
    slope, shift = _calibrate(left_out, targets[:, :-1], is_known[:, :-1])
    forecasts = 1 / (1 + np.exp(-(slope * left_out + shift)))
    skill = _skill(forecasts, targets[:, :-1], is_known[:, :-1])
    found = {name: tensor.numpy() for name, tensor in layers.items()}
    return Forecaster(center, scale, found, slope, shift, skill)


def center_and_scale(points: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation (I,) of points (P, I) without their missing values; 1 for constants."""
    is_there = np.isfinite(points)
    counts = np.maximum(is_there.sum(axis=0), 1)
    center = np.where(is_there, points, 0).sum(axis=0) / counts
    variance = (np.where(is_there, points - center, 0) ** 2).sum(axis=0) / counts
    scale = np.sqrt(variance)
    return center, np.where(scale > 1e-9 * (1 + np.abs(center)), scale, 1.0)


def _scaled(points: Floats, center: Floats, scale: Floats) -> NDArray[np.float32]:
    scaled = np.clip((points - center) / scale, -_REACH, _REACH)
    return np.where(np.isfinite(points), scaled, 0).astype(np.float32)


def _hazards(layers: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Values -log(1 - output) (M, P, K + 1) for scaled inputs (P, I)."""
    first = torch.tanh(x @ layers["w1"] + layers["b1"])
    second = torch.tanh(first @ layers["w2"] + layers["b2"])
    raw = functional.softplus(second @ layers["w3"] + layers["b3"]) + 1e-6
    return torch.cat([raw[..., :-1].cumsum(-1), raw[..., -1:]], dim=-1)


def _log_odds(hazards: Tensor) -> Tensor:
    """The log odds of outputs 1 - exp(-c)."""
    return hazards + torch.log(-torch.expm1(-hazards))


def _cross_entropies(hazards: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Of each member and prefix (M, P), summed over what is known."""
    log_outputs = torch.log(-torch.expm1(-hazards))
    return ((targets * -log_outputs + (1 - targets) * hazards) * weights).sum(-1)


def _train(
    x: Tensor, y: Tensor, weights: Tensor, is_out: Tensor, decay: float, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Each member's layers where it forecast the prefixes it left out (M, P) best."""
    layers = _start_layers(x.shape[1], y.shape[1], rng)
    optimiser = torch.optim.AdamW(layers.values(), lr=_RATE, weight_decay=decay)
    best = {name: tensor.detach().clone() for name, tensor in layers.items()}
    lowest = torch.full((_N_MEMBERS,), torch.inf)
    n_out = is_out.sum(1).clamp(min=1)
    for step in range(_N_STEPS + 1):
        if step % _EVERY == 0:
            with torch.no_grad():
                out = (_cross_entropies(_hazards(layers, x), y, weights) * is_out).sum(1) / n_out
            is_better = out < lowest
            lowest = torch.where(is_better, out, lowest)
            for name, tensor in layers.items():
                best[name][is_better] = tensor.detach()[is_better]
        rows = torch.from_numpy(rng.permutation(len(x))[:_BATCH])
        losses = _cross_entropies(_hazards(layers, x[rows]), y[rows], weights[rows])
        loss = (losses * ~is_out[:, rows]).mean() * _N_MEMBERS
        gradients = torch.autograd.grad(loss, list(layers.values()))
        for tensor, gradient in zip(layers.values(), gradients, strict=True):
            tensor.grad = gradient
        optimiser.step()
    return best


def _start_layers(n_inputs: int, n_outputs: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Normal weights of variance one over the fan-in, biases of zero."""
    sizes = (n_inputs, _WIDTH, _WIDTH, n_outputs)
    layers: dict[str, Tensor] = {}
    for at, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        weights = rng.normal(0, n_in**-0.5, (_N_MEMBERS, n_in, n_out))
        layers[f"w{at}"] = torch.tensor(weights, dtype=torch.float32, requires_grad=True)
        layers[f"b{at}"] = torch.zeros(_N_MEMBERS, 1, n_out, requires_grad=True)
    return layers


def _calibrate(odds: Floats, shares: Floats, is_known: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift of the log odds that foretell `shares` best: logistic regression, Newton."""
    x, y = odds[is_known], shares[is_known]
    design = np.stack([x, np.ones_like(x)], axis=1)
    start = np.array([1.0, 0.0])
    found = start.copy()
    for _ in range(20):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        # one pseudo-observation's pull towards leaving the forecast alone
        gradient = design.T @ (y - p) - (found - start)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.eye(2)
        found = found + np.linalg.solve(curvature, gradient)
    # a slope below zero would turn the order of the horizons round
    return float(np.clip(found[0], 0.1, 3)), float(np.clip(found[1], -3, 3))


def _skill(forecasts: Floats, shares: Floats, is_known: NDArray[np.bool_]) -> float:
    counts = np.maximum(is_known.sum(axis=0), 1)
    average = (shares * is_known).sum(axis=0) / counts
    error = ((forecasts - shares) ** 2)[is_known].sum()
    spread = ((average - shares) ** 2)[is_known].sum()
    return float(1 - error / spread) if spread > 0 else 0.0
