"""The metric that tells which known tasks are like a new one, learned by leaving tasks out.

As in Weinberger and Tesauro, "Metric Learning for Kernel Regression" (2007).

Axes: M known tasks, D columns of a description, C candidates, F folds of known tasks and all of
them as the last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.metalearning.matching.attention import euclidean_scores

_N_FOLDS, _N_STEPS, _N_PATIENT = 8, 150, 25
_FEWEST_TASKS = 3  # one held out, and two others whose weights can differ
# Measured on planted tasks (see tests): a weight for each column learns from a dozen tasks, a
# rotation of the columns needs more, and has so many numbers that it learns at a lower rate
_RATE_OF_COLUMNS, _RATE_OF_ROTATION, _MOST_ROTATED = 0.05, 0.02, 64
# in standard errors of the gain: the best of many steps is also the luckiest. Measured on planted
# tasks with shuffled descriptions: at 0 and 1 attention did harm, at 2 none
_SURE = 2.0
_FIRST_PRIOR = 0.1


class KnownTasks(NamedTuple):
    """Descriptions (M, D), utilities (M, C) in quantiles, 0 where untried, and where tried."""

    columns: Tensor
    quantiles: Tensor
    is_tried: Tensor


class Metric(NamedTuple):
    """A projection (D, D) of descriptions, and how much attention the median is worth ()."""

    projection: Tensor
    prior: Tensor


def floored_attention(scores: Tensor, is_open: Tensor, floor: float) -> Tensor:
    """Softmax over scores (..., M) where open, of which the part `floor` is shared alike."""
    alike = is_open.to(scores.dtype)
    alike = alike / alike.sum(dim=-1, keepdim=True)
    return (1 - floor) * scores.masked_fill(~is_open, -torch.inf).softmax(dim=-1) + floor * alike


def expected_quantiles(weights: Tensor, known: KnownTasks, prior: Tensor) -> Tensor:
    """(..., C) means of utilities under attention (..., M), drawn to the median by `prior`.

    What few or unlike tasks have tried is drawn more, for less attention falls on it.
    """
    return weights @ known.quantiles / (weights @ known.is_tried + prior)


def learn_metric(known: KnownTasks, floor: float, rng: np.random.Generator) -> Metric:
    """The metric that predicts held-out tasks' utilities best; zeros if none beats no metric.

    The loss is the squared error of quantiles: it learns from all candidates, where a ranking loss
    learns from the few at the top, and in planted tasks it gave the better first proposals.
    """
    n_tasks, n_columns = known.columns.shape
    # of the size at which squared distances between standard normal descriptions are about 2
    start = known.columns.new_ones(n_columns) / max(n_columns, 1) ** 0.5
    if n_tasks < _FEWEST_TASKS or not bool(known.columns.any()):
        return Metric((start * 0).diag(), start.new_tensor(_FIRST_PRIOR))
    episodes = Episodes(known, floor, rng.permutation(n_tasks) % min(n_tasks, _N_FOLDS))
    # no gradient moves a projection of zeros: only the prior is learned
    nothing, without = episodes.descend(start * 0, _RATE_OF_COLUMNS)
    found = [episodes.descend(start, _RATE_OF_COLUMNS)]
    if n_columns <= _MOST_ROTATED:
        found.append(episodes.descend(start.diag(), _RATE_OF_ROTATION))
    best, losses = min(found, key=lambda one: float(one[1].mean()))
    gains = without - losses
    return best if gains.mean() > _SURE * gains.std() / n_tasks**0.5 else nothing


class Episodes:
    """Leave-one-task-out episodes within each fold's training tasks, all folds side by side."""

    def __init__(self, known: KnownTasks, floor: float, folds: NDArray[np.int64]) -> None:
        self.known, self.floor = known, floor
        self.folds = torch.as_tensor(folds)
        every = torch.arange(int(folds.max()) + 2)  # the last fold holds nothing out
        self.is_trained = self.folds != every[:, None]
        others = ~torch.eye(len(folds), dtype=torch.bool)
        self.is_open = self.is_trained[:, None, :] & others
        self.n_tried = known.is_tried.sum(dim=1).clamp(min=1)

    def stacked(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """A projection (F, D) or (F, D, D) and the log of a prior (F, 1, 1) for each fold."""
        n_folds = len(self.is_trained)
        prior = start.new_full((n_folds, 1, 1), _FIRST_PRIOR).log()
        return start.expand(n_folds, *start.shape).clone(), prior

    def losses(self, projection: Tensor, log_prior: Tensor) -> Tensor:
        """(F, M) mean squared errors of each task's utilities, from the fold's other tasks."""
        columns = self.known.columns
        is_diagonal = projection.ndim == 2
        rows = columns * projection[:, None] if is_diagonal else columns @ projection.mT
        weights = floored_attention(euclidean_scores(rows, rows), self.is_open, self.floor)
        expected = expected_quantiles(weights, self.known, log_prior.exp())
        errors = (expected - self.known.quantiles).square() * self.known.is_tried
        return errors.sum(dim=2) / self.n_tried

    def descend(self, start: Tensor, rate: float) -> tuple[Metric, Tensor]:
        """The last fold's metric at the step where the other folds' held-out losses are least.

        Beside it those losses (M,). Adam steps each number by itself, so no fold touches another.
        """
        projection, log_prior = (one.requires_grad_() for one in self.stacked(start))
        optimiser = torch.optim.Adam([projection, log_prior], rate)
        tasks = torch.arange(len(self.folds))
        best_step, least, kept = 0, torch.full((1,), torch.inf), (projection, log_prior)
        for step in range(_N_STEPS):
            losses = self.losses(projection, log_prior)
            held_out = losses.detach()[self.folds, tasks]
            if held_out.mean() < least.mean():
                best_step, least = step, held_out
                kept = projection.detach().clone(), log_prior.detach().clone()
            if step - best_step >= _N_PATIENT:
                break
            trained = (losses * self.is_trained).sum(dim=1) / self.is_trained.sum(dim=1)
            optimiser.zero_grad()
            torch.autograd.backward(trained.sum())
            optimiser.step()
        last, prior = kept[0][-1], kept[1][-1, 0, 0].exp()
        return Metric(last.diag() if last.ndim == 1 else last, prior), least
