"""What is measured of one table and seed: losses of every arm, and seconds of a proposal."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.start import PriorStart
from autometa.spaces import Config
from autometa.studies.benchmarks.priors import _rivals
from autometa.studies.benchmarks.priors._arms import (
    Start,
    fit_learner,
    loss_of,
    loss_on_test,
    proposed_start,
    run_steps,
    standard_start,
)
from autometa.studies.benchmarks.priors._rows import DrawnRows

N_SCALINGS = 40
"""Inner loops of a table and seed, each with its columns scaled anew."""
ONE_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Single rates that learned ones are compared with."""


@dataclass(frozen=True, slots=True, eq=False)
class Arms:
    """What to compare: `parts` of zero, steps, rates, full and loops; `members` of a proposal."""

    proposer: Proposer
    untrained: Proposer
    prior: Path | None
    parts: tuple[str, ...] = ("zero", "steps", "rates", "full")
    steps: tuple[int, ...] = (10, 50, 200, 1000)
    members: int = 4

    def measure(self, drawn: DrawnRows, seed: int) -> dict[str, float]:
        """Losses by the arm's name and number of steps, and seconds."""
        found: dict[str, float] = {}
        for part in self.parts:
            found |= dict(getattr(self, f"_{part}")(drawn, seed))
        return found

    def _zero(self, drawn: DrawnRows, seed: int) -> Iterator[tuple[str, float]]:
        """Before any step, beside others with their defaults."""
        for name, proposer in (("prior", self.proposer), ("untrained", self.untrained)):
            for members in sorted({1, self.members}):
                begun = time.perf_counter()
                start = proposed_start(proposer, drawn, members, seed)
                yield f"seconds {name} x{members}", time.perf_counter() - begun
                yield f"{name} x{members} at 0", loss_on_test(start.module, start.test, drawn)
        for name in _rivals.RIVALS:
            begun = time.perf_counter()
            predicted = _rivals.predict(name, drawn)
            yield f"seconds {name}", time.perf_counter() - begun
            yield name, loss_of(predicted, drawn)
            if name == "random forest" and drawn.n_classes:
                yield f"{name}, smoothed", loss_of(_rivals.smoothed(predicted), drawn)

    def _steps(self, drawn: DrawnRows, seed: int) -> Iterator[tuple[str, float]]:
        """After some steps on all training rows, each number with its own schedule."""
        for n_steps in self.steps:
            for name in ("prior", "untrained", "standard"):
                start = self._start(name, drawn, seed)
                yield f"{name} at {n_steps}", run_steps(start, drawn, n_steps, seed)

    def _rates(self, drawn: DrawnRows, seed: int) -> Iterator[tuple[str, float]]:
        """Learned rates beside one rate for all tensors, from the same start."""
        for rate in ONE_RATES:
            start = self._start("prior", drawn, seed).with_one_rate(rate)
            yield f"one rate {rate:g} at 50", run_steps(start, drawn, 50, seed)
        yield "learned rates at 50", run_steps(self._start("prior", drawn, seed), drawn, 50, seed)

    def _full(self, drawn: DrawnRows, seed: int) -> Iterator[tuple[str, float]]:
        """The learner's whole fit, whose epoch is chosen by rows of its own."""
        proposed: Config = {"start": "prior", "proposals": self.members, "length": 16}
        for name, config, start in (
            ("prior", proposed, PriorStart.of(self.prior)),
            ("standard", {}, None),
        ):
            begun = time.perf_counter()
            yield f"{name} in full", fit_learner(drawn, config, start, seed)
            yield f"seconds {name} in full", time.perf_counter() - begun

    def _loops(self, drawn: DrawnRows, seed: int) -> Iterator[tuple[str, float]]:
        """How many of some short loops diverge, on columns scaled by up to 1e12 either way."""
        n_diverged = 0
        for scaled in scalings(drawn, seed):
            start = proposed_start(self.proposer, scaled, 1, seed)
            n_diverged += not math.isfinite(run_steps(start, scaled, 50, seed))
        yield "loops", float(N_SCALINGS)
        yield "loops that diverged", float(n_diverged)

    def _start(self, name: str, drawn: DrawnRows, seed: int) -> Start:
        if name == "standard":
            return standard_start(drawn, self.members, seed)
        proposer = self.proposer if name == "prior" else self.untrained
        return proposed_start(proposer, drawn, self.members, seed)


def scalings(drawn: DrawnRows, seed: int) -> Iterator[DrawnRows]:
    """The table with each number column in units of its own, from 1e-12 to 1e12 times."""
    rng = np.random.default_rng((seed, 1))
    for _ in range(N_SCALINGS):
        factors = 10.0 ** rng.uniform(-12, 12, drawn.train.features.numbers.shape[1])
        yield drawn.scaled(factors.astype(np.float32))


def untrained_like(proposer: Proposer, seed: int) -> Proposer:
    """The same construction with random weights: what meta-training is compared with."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Proposer(proposer.generator.shape, cells=proposer.cells)
    return made.eval().requires_grad_(requires_grad=False)


@dataclass(slots=True)
class Measured:
    """The figures of one table, by seed."""

    table: str
    kind: str
    family: str
    n_train: int
    by_seed: dict[int, dict[str, float]] = field(default_factory=dict)

    def mean(self, name: str) -> float | None:
        """Over seeds; None where one has none."""
        values = [one.get(name) for one in self.by_seed.values()]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) and known else None
