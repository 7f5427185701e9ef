"""Exact rules on categories: joint tables, parity, m of n, lists of rules, grades.

Where answers are looked up, not added up: car evaluation, the monks' problems, tic-tac-toe,
eligibility, diagnosis by criteria. Columns of many values are cut into two to four levels first.

Axes: N rows, C columns of a rule, S scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from autometa.priors.synthetic._base import Array, Inputs, Levels
from autometa.priors.synthetic.presentation import cut
from autometa.priors.synthetic.randomness import few_of, pick

MAX_CELLS = 2048  # of a joint table; beyond, rows are too few to fill it

_Rule = Callable[[np.random.Generator, Levels, tuple[int, ...], int], Array]


def draw_conjunction(rng: np.random.Generator, inputs: Inputs, n_scores: int) -> Array:
    """Scores (S, N) that have few different values each."""
    kind = pick(rng, _WEIGHTS)
    least, most = _N_COLUMNS[kind]
    levels, sizes = choose_levels(rng, inputs, least, most)
    return RULES[kind](rng, levels, sizes, n_scores)


def choose_levels(
    rng: np.random.Generator, inputs: Inputs, least: int, most: int
) -> tuple[Levels, tuple[int, ...]]:
    """Columns (C, N) as levels from 0, and how many levels each has.

    Categories where there are any; where they are too few, number columns are cut.
    """
    of_few = [at for at, n in enumerate(inputs.n_levels) if 2 <= n <= 50]
    chosen = few_of(rng, len(of_few), min(least, max(1, len(of_few))), most).tolist()
    levels = [inputs.levels[of_few[at]] for at in chosen]
    sizes = [inputs.n_levels[of_few[at]] for at in chosen]
    if len(chosen) < least:
        for at in few_of(rng, len(inputs.values), least - len(chosen), least).tolist():
            sizes.append(2 + int(rng.random() * 3))
            levels.append(cut(inputs.values[at], np.full(sizes[-1], 1 / sizes[-1])))
    return np.stack(levels), tuple(sizes)


def _look_up(
    rng: np.random.Generator, levels: Levels, sizes: tuple[int, ...], n_scores: int
) -> Array:
    """A table of random values over all combinations of levels."""
    joint = np.zeros(levels.shape[1], np.int64)
    n_cells = 1
    for column, size in zip(levels, sizes, strict=True):
        if n_cells * size > MAX_CELLS:
            break
        joint = joint * size + column
        n_cells *= size
    return rng.standard_normal((n_scores, n_cells), np.float32)[:, joint]


def parity(rng: np.random.Generator, levels: Levels, sizes: tuple[int, ...], n: int) -> Array:
    """Whether an odd number of conditions holds: no column tells anything alone."""
    return np.stack(
        [_conditions(rng, levels, sizes).sum(axis=0) % 2 for _ in range(n)],
    ).astype(np.float32)


def _count(
    rng: np.random.Generator, levels: Levels, sizes: tuple[int, ...], n_scores: int
) -> Array:
    """Whether at least m of n conditions hold; sometimes how many beyond count, too."""
    scores = np.empty((n_scores, levels.shape[1]), np.float32)
    for score in scores:
        counts = _conditions(rng, levels, sizes).sum(axis=0)
        m = 1 + int(rng.random() * len(levels))
        score[:] = np.maximum(counts - m + 1, 0) if rng.random() < 0.3 else counts >= m
    return scores


def _follow_rules(
    rng: np.random.Generator, levels: Levels, sizes: tuple[int, ...], n_scores: int
) -> Array:
    """A list of rules of two to four conditions: each row takes the first that fits it."""
    scores = np.empty((n_scores, levels.shape[1]), np.float32)
    for score in scores:
        score[:] = rng.standard_normal()  # where no rule fits
        for _ in range(1 + int(rng.random() * 6)):
            used = few_of(rng, len(levels), min(2, len(levels)), 4)
            picked = tuple(sizes[at] for at in used.tolist())
            fits = _conditions(rng, levels[used], picked).all(axis=0)
            score[fits] = rng.standard_normal()
    return scores


def _grade(
    rng: np.random.Generator, levels: Levels, sizes: tuple[int, ...], n_scores: int
) -> Array:
    """Ordered levels joined two by two, by the worse, the better, the sum or the product.

    As in hierarchical decision models: car evaluation, nursery, balance scale.
    """
    grades = [
        rng.permutation(size).astype(np.float32)[column] / max(1, size - 1)
        for column, size in zip(levels, sizes, strict=True)
    ]
    joins = (np.minimum, np.maximum, np.add, np.multiply, np.subtract)
    scores: list[Array] = []
    for _ in range(n_scores):
        left = [grades[at] for at in rng.permutation(len(grades)).tolist()]
        while len(left) > 1:
            left.append(joins[int(rng.random() * len(joins))](left.pop(0), left.pop(0)))
        scores.append(left[0])
    return np.stack(scores)


def _conditions(
    rng: np.random.Generator, levels: Levels, sizes: tuple[int, ...]
) -> NDArray[np.bool_]:
    """A condition on each column (C, N): that its level is among some, not none and not all."""
    holds = np.empty(levels.shape, np.bool_)
    for at, (column, size) in enumerate(zip(levels, sizes, strict=True)):
        is_member = rng.random(size) < 0.5
        is_member[rng.permutation(size)[:2]] = (True, False)[: min(size, 2)]
        holds[at] = is_member[column]
    return holds


RULES: Mapping[str, _Rule] = {
    "look up": _look_up,
    "parity": parity,
    "count": _count,
    "follow rules": _follow_rules,
    "grade": _grade,
}
_WEIGHTS = {"look up": 0.35, "parity": 0.12, "count": 0.15, "follow rules": 0.23, "grade": 0.15}
_N_COLUMNS = {
    "look up": (2, 4),
    "parity": (2, 3),
    "count": (3, 8),
    "follow rules": (2, 6),
    "grade": (2, 8),
}
