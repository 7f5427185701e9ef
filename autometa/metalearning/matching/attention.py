"""Attention of query rows over the support rows of a task, as pure functions.

Vinyals et al., "Matching Networks for One Shot Learning" (2016), equation 1 and section 2.1.1:
what is said of a query row is the mean of the support rows' targets, weighted by a softmax over
scores of likeness.

Axes: T tasks, Q query rows, N support rows, D dimensions of an embedding, K classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Distance = Literal["cosine", "euclidean"]
_EPSILON = 1e-8  # rows shorter than this count as zero: torch's own default for cosines


def cosine_scores(queries: Tensor, support: Tensor) -> Tensor:
    """Cosines (T, Q, N) between embeddings (T, Q, D) and (T, N, D); 0 for a row of zeros."""
    unit_queries = functional.normalize(queries, dim=-1, eps=_EPSILON)
    unit_support = functional.normalize(support, dim=-1, eps=_EPSILON)
    return unit_queries @ unit_support.mT


def euclidean_scores(queries: Tensor, support: Tensor) -> Tensor:
    """Negative squared distances (T, Q, N) between embeddings (T, Q, D) and (T, N, D)."""
    # distances are the same around any centre, and lose fewer digits around the rows' own
    centre = support.mean(dim=-2, keepdim=True).detach()
    queries, support = queries - centre, support - centre
    lengths = (
        queries.square().sum(dim=-1)[..., :, None] + support.square().sum(dim=-1)[..., None, :]
    )
    return 2 * queries @ support.mT - lengths


def likeness(queries: Tensor, support: Tensor, distance: Distance) -> Tensor:
    """Scores (T, Q, N) of either kind."""
    score = cosine_scores if distance == "cosine" else euclidean_scores
    return score(queries, support)


def class_log_probabilities(scores: Tensor, classes: Tensor, n_ways: int) -> Tensor:
    """Logarithms (T, Q, K) of equation 1 for scores (T, Q, N) and classes (T, N) int64.

    A class without a support row has probability 0, so -inf, and no gradient.
    """
    # each class is summed around its own highest score: around the row's, the probability of an
    # unlikely class would round to 0 and its logarithm, which is the loss, to infinity
    places = classes[:, None, :].expand_as(scores)
    lowest = scores.new_full((*scores.shape[:2], n_ways), -torch.inf)
    highest = lowest.scatter_reduce(2, places, scores.detach(), "amax")
    is_of_class = functional.one_hot(classes, n_ways).to(scores.dtype)
    sums = (scores - highest.gather(2, places)).exp() @ is_of_class
    is_there = is_of_class.any(dim=1, keepdim=True)
    logarithms = sums.where(is_there, 1.0).log() + highest
    return logarithms - scores.logsumexp(dim=-1, keepdim=True)


def weighted_targets(scores: Tensor, targets: Tensor) -> Tensor:
    """Equation 1 for values: means (T, Q, ...) of targets (T, N, ...) under scores (T, Q, N).

    With Euclidean scores this is Nadaraya and Watson's kernel regression.
    """
    columns = targets.reshape(*targets.shape[:2], -1).to(scores.dtype)
    means = scores.softmax(dim=-1) @ columns
    return means.reshape(*scores.shape[:2], *targets.shape[2:])


def matched(scores: Tensor, targets: Tensor, n_ways: int) -> Tensor:
    """What scores (T, Q, N) say of query rows, from the support rows' targets (T, N, ...)."""
    if targets.is_floating_point():
        return weighted_targets(scores, targets)
    return class_log_probabilities(scores, targets.long(), n_ways)


def count_ways(*targets: Tensor) -> int:
    """One more than the largest label; 0 for values and for no rows."""
    labels = [one for one in targets if not one.is_floating_point() and one.numel()]
    return max((int(one.max()) + 1 for one in labels), default=0)
