"""What support rows say of a table's columns, of its classes, and of the task.

No fact depends on the order of rows or of columns, nor on what a class is called.

Axes: T tasks, N support rows, D columns, K classes, F facts of a column.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

N_FACTS = 15
N_CLASS_FACTS = 6
_SAME = 1e-4  # values this close are one value


def column_facts(X: Tensor, Y: Tensor) -> Tensor:
    """(T, D, F) what support rows X (T, N, D), one-hot classes Y (T, N, K), say of each column."""
    n_rows, n_ways = Y.shape[1:]
    means = _class_means(X, Y)
    centred = means - means.mean(dim=1, keepdim=True)
    between = centred.square().mean(dim=1)
    within = (X - Y @ means).square().sum(dim=1) / max(n_rows - n_ways, 1)
    spread = X - X.mean(dim=1, keepdim=True)
    like = torch.ones_like(between)
    return torch.stack(
        [
            between,
            within,
            torch.log((between + 0.1) / (within + 0.1)),
            _agreement(spread),
            _agreement(centred),
            spread.square().mean(dim=1),
            (X.abs() < 1e-3).to(X.dtype).mean(dim=1),
            _n_distinct(X) / n_rows,
            X.mean(dim=1).abs(),
            X.abs().amax(dim=1) - 1.5,
            spread.abs().amax(dim=1) - 1.5,
            means.abs().amin(dim=1),
            like * (math.log1p(n_rows) - 2.0),
            like * (math.log(n_ways) - 1.0),
            like * (math.log(X.shape[2]) - 2.5),
        ],
        dim=-1,
    )


def class_facts(X: Tensor, Y: Tensor) -> Tensor:
    """(T, K, facts) where each class lies about 0, the mean of a table's rows.

    As the classes' means weighted by their shares add up to about 0, shares can be solved for.
    """
    means = _class_means(X, Y)
    products = means @ means.mT / X.shape[2]
    squares = products.diagonal(dim1=1, dim2=2)
    sizes = (Y / Y.sum(dim=1, keepdim=True)).mT @ torch.stack(
        [X.square().mean(dim=2), X.abs().median(dim=2).values], dim=-1
    )
    of_mean = [squares, sizes[..., 0]]
    relative = [one - one.mean(dim=1, keepdim=True) for one in of_mean]
    shares = _shares(products, Y.shape[1])
    return torch.stack([*of_mean, *relative, sizes[..., 1], shares * Y.shape[2] - 1], dim=-1)


def task_facts(X: Tensor, Y: Tensor) -> Tensor:
    """(T, 3) the logs of the numbers of rows, columns and classes, about centred."""
    sizes = X.new_tensor([X.shape[1], X.shape[2], Y.shape[2]]).log()
    return (sizes - X.new_tensor([2.5, 2.5, 1.0])).expand(len(X), 3)


def _shares(products: Tensor, n_rows: int) -> Tensor:
    """(T, K) the shares, adding to one, that bring the classes' mean nearest to 0, shrunk.

    Their weights minimise s' M s + penalty |s|^2 with products M of class means (T, K, K).
    """
    n_ways = products.shape[-1]
    eye = torch.eye(n_ways, dtype=products.dtype, device=products.device)
    # a mean of few rows is long by chance: as long as its variance, 1 / rows of the class
    penalty = 0.1 + 0.5 * n_ways / n_rows
    ones = products.new_ones(len(products), n_ways, 1)
    solved: Tensor = torch.linalg.solve(products + penalty * eye, ones)
    return (solved / solved.sum(dim=1, keepdim=True))[..., 0]


def _class_means(X: Tensor, Y: Tensor) -> Tensor:
    """(T, K, D)."""
    return (Y / Y.sum(dim=1, keepdim=True)).mT @ X


def _agreement(rows: Tensor) -> Tensor:
    """(T, D) root mean squared cosine of each column of rows (T, R, D) with the others."""
    units = functional.normalize(rows, dim=1, eps=1e-6)
    squares = (units.mT @ units).square().sum(dim=-1)
    own = units.square().sum(dim=1).square()
    return ((squares - own).clamp(min=0) / max(rows.shape[-1] - 1, 1) + 1e-9).sqrt()


def _n_distinct(X: Tensor) -> Tensor:
    """(T, D) the number of distinct values in each column."""
    ordered = X.sort(dim=1).values
    return 1 + (ordered.diff(dim=1).abs() > _SAME).to(X.dtype).sum(dim=1)
