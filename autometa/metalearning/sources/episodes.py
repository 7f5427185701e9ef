"""N-way K-shot classification tasks from any labelled array.

Axes: M rows of the array, C classes, T tasks, W ways (classes of one task), N rows of a set.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.errors import MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch

Indices = NDArray[np.int64]
Labels = Sequence[Hashable] | NDArray[Any] | Tensor
_MISSING = "some labels are missing: leave their rows out, or label them"


class Views(Protocol):
    """Ways to look at a row, each of which makes a class of its own out of every class.

    No row is stored twice: the classes are virtual, and rows are changed when they are drawn.
    """

    @property
    def n_views(self) -> int:
        """How many classes become of one."""
        ...

    def check(self, inputs: Tensor) -> None:
        """Raise `MetaLearningError` if inputs (M, ...) cannot be looked at so."""
        ...

    def __call__(self, inputs: Tensor, views: Indices) -> Tensor:
        """Rows (N, ...), each as it looks in its view (N,), of the same shape and type."""
        ...


@dataclass(frozen=True, slots=True)
class QuarterTurns:
    """Images turned by 0, 90, 180 and 270 degrees, each turn a class of its own.

    The convention of the Omniglot figures: Vinyals et al. 2016 (arXiv 1606.04080), section 4.1.1.
    """

    n_views: int = 4

    def check(self, inputs: Tensor) -> None:
        """Raise `MetaLearningError` unless the last two axes make squares."""
        if inputs.ndim < 3 or inputs.shape[-1] != inputs.shape[-2]:
            raise MetaLearningError(
                f"inputs are {tuple(inputs.shape)}: quarter turns need images whose last two axes "
                "are equal; give square images or no views"
            )

    def __call__(self, inputs: Tensor, views: Indices) -> Tensor:
        """Images (N, ..., H, H), each turned counter-clockwise by its number (N,) of quarters."""
        turned = torch.empty_like(inputs)
        for turn in range(self.n_views):
            rows = torch.from_numpy(np.flatnonzero(views == turn)).to(inputs.device)
            turned[rows] = torch.rot90(inputs[rows], turn, (-2, -1))
        return turned


class Episodes:
    """A source of N-way K-shot tasks: few rows of each of a few classes to learn from.

    Each task draws `n_ways` of the array's classes in random order and `n_shots` support and
    `n_queries` query rows of each, no row twice in a class. Rows stand class by class, and the
    target is the class's position. With `views`, a task may hold a class in two views. Inputs
    (M, ...) stay where they are, and tasks are drawn on that device; a read-only or strided array
    is copied. Bytes become 32-bit fractions of 255 when drawn, unless
    `scale` is off. Labels (M,) are integers, names or anything hashable. A class with too few rows
    is an error, unless `drop_small` leaves it out. Raises `MetaLearningError`.
    """

    def __init__(
        self,
        inputs: NDArray[Any] | Tensor,
        labels: Labels,
        n_ways: int,
        n_shots: int,
        n_queries: int,
        views: Views | None = None,
        scale: bool = True,
        drop_small: bool = False,
    ) -> None:
        for name, count, least in (
            ("n_ways", n_ways, 2),
            ("n_shots", n_shots, 1),
            ("n_queries", n_queries, 1),
        ):
            if count < least:
                raise MetaLearningError(f"{name} is {count}: give {least} or more")
        self.n_ways, self.n_shots, self.n_queries = n_ways, n_shots, n_queries
        self._inputs = _as_tensor(inputs)
        self._views = views
        self._n_views = 1 if views is None else views.n_views
        self._is_scaled = scale and self._inputs.dtype == torch.uint8
        self._classes = _group(labels, len(self._inputs))
        self._require_rows(drop_small)
        if self.n_classes < n_ways:
            raise MetaLearningError(
                f"there are {self.n_classes} classes for tasks of {n_ways}: lower n_ways, or give "
                "rows of more classes"
            )
        if views is not None:
            views.check(self._inputs)

    @property
    def n_classes(self) -> int:
        """The number of classes that tasks draw from, each view of a class counted."""
        return len(self._classes.counts) * self._n_views

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """One batch of `n_tasks` tasks."""
        drawn = draw_distinct(np.full(n_tasks, self.n_classes), self.n_ways, rng)
        classes, views = np.divmod(drawn, self._n_views)
        n_rows = self.n_shots + self.n_queries
        places = draw_distinct(self._classes.counts[classes], n_rows, rng)
        rows = self._classes.rows[self._classes.starts[classes][..., None] + places]
        support, query = rows[..., : self.n_shots], rows[..., self.n_shots :]
        return [TaskBatch(self._examples(support, views), self._examples(query, views))]

    def _examples(self, rows: Indices, views: Indices) -> Examples:
        """The rows (T, W, n) of classes seen in views (T, W)."""
        n_tasks, n_ways, n_each = rows.shape
        device = self._inputs.device
        inputs = self._inputs[torch.from_numpy(rows.reshape(-1)).to(device)]
        if self._views is not None:
            inputs = self._views(inputs, views.reshape(-1).repeat(n_each))
        if self._is_scaled:
            inputs = inputs.to(torch.float32).div_(255)
        targets = torch.arange(n_ways, device=device).repeat_interleave(n_each)
        shape = (n_tasks, n_ways * n_each, *inputs.shape[1:])
        return Examples(inputs.reshape(shape), targets.repeat(n_tasks, 1))

    def _require_rows(self, drop_small: bool) -> None:
        """Leave classes out, or raise, if they have fewer rows than a task takes."""
        n_needed = self.n_shots + self.n_queries
        small = np.flatnonzero(self._classes.counts < n_needed)
        if not len(small):
            return
        if drop_small:
            self._classes = self._classes.without(small)
            return
        name, count = self._classes.names[small[0]], self._classes.counts[small[0]]
        raise MetaLearningError(
            f"{len(small)} of {len(self._classes.counts)} classes have fewer than the {n_needed} "
            f"rows that n_shots and n_queries need, as {name!r} with {count}: lower these, or "
            "leave such classes out with drop_small=True"
        )


@dataclass(frozen=True, slots=True)
class _Classes:
    """The rows of each class: `rows` (M,) class by class, where each starts, how many (C,)."""

    names: Sequence[Hashable]
    rows: Indices
    starts: Indices
    counts: Indices

    def without(self, classes: Indices) -> _Classes:
        kept = np.setdiff1d(np.arange(len(self.counts)), classes)
        names = [self.names[i] for i in kept]
        return _Classes(names, self.rows, self.starts[kept], self.counts[kept])


def draw_distinct(n_from: Indices, n_drawn: int, rng: np.random.Generator) -> Indices:
    """Integers (..., n_drawn) below `n_from` (...), no two alike, all orders equally likely.

    Time and memory do not grow with `n_from`, which must be `n_drawn` or more: Floyd's sampling
    (Bentley and Floyd 1987, "A sample of brilliance"), for all places at once, then shuffled.
    """
    drawn = np.empty((*n_from.shape, n_drawn), np.int64)
    for i in range(n_drawn):
        last = n_from - n_drawn + i
        candidate = rng.integers(0, last, endpoint=True)
        is_taken = (drawn[..., :i] == candidate[..., None]).any(axis=-1)
        drawn[..., i] = np.where(is_taken, last, candidate)
    return rng.permuted(drawn, axis=-1)


def _as_tensor(inputs: NDArray[Any] | Tensor) -> Tensor:
    """The array's own memory as a tensor, where torch can use it."""
    if isinstance(inputs, Tensor):
        tensor = inputs.detach()
    else:
        try:
            tensor = torch.from_numpy(np.require(inputs, requirements=["C", "W"]))
        except TypeError as error:
            raise MetaLearningError(
                f"inputs are of type {inputs.dtype}: give an array of numbers"
            ) from error
    if tensor.ndim == 0 or len(tensor) == 0:
        raise MetaLearningError("inputs have no rows: give an array with rows of several classes")
    return tensor


def _group(labels: Labels, n_rows: int) -> _Classes:
    """The rows of each label, labels sorted where they are an array, else in order of coming."""
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu().numpy()
    shape = labels.shape if isinstance(labels, np.ndarray) else (len(labels),)
    if shape != (n_rows,):
        raise MetaLearningError(
            f"labels are {shape} for {n_rows} rows of inputs: give one label to each row"
        )
    names, codes = _coded(labels)
    counts = np.bincount(codes, minlength=len(names)).astype(np.int64)
    rows = np.argsort(codes, kind="stable").astype(np.int64)
    return _Classes(names, rows, counts.cumsum() - counts, counts)


def _coded(labels: Sequence[Hashable] | NDArray[Any]) -> tuple[Sequence[Hashable], Indices]:
    """The distinct labels, and for each row (M,) which of them it has."""
    if isinstance(labels, np.ndarray) and labels.dtype != object:
        if labels.dtype.kind == "f" and np.isnan(labels).any():
            raise MetaLearningError(_MISSING)
        names, codes = np.unique(labels, return_inverse=True)
        return names.tolist(), codes.astype(np.int64)
    if any(label is None or (isinstance(label, float) and np.isnan(label)) for label in labels):
        raise MetaLearningError(_MISSING)
    known: dict[Hashable, int] = {}
    codes = np.array([known.setdefault(label, len(known)) for label in labels], np.int64)
    return list(known), codes
