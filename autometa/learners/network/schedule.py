"""How learning rate, dropout and decay move over training: functions of progress in [0, 1].

From RealMLP (Holzmüller et al. 2024, "Better by Default", appendix A): `coslog4` and `flat_cos`.
A proposed network starts near its end, and its rates fall from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from autometa.priors.proposer.settings import rate_share

_N_CYCLES = 4  # RealMLP-TD: four cycles, each twice as long as the one before


class Schedule(Protocol):
    """How the learning rate moves.

    `ends` are the shares of training at which one looks whether it is worth going on, from the
    lowest to 1: what is best so far must be later than the end before.
    """

    @property
    def ends(self) -> tuple[float, ...]:
        """The shares."""
        ...

    def factor(self, progress: float, step: int) -> float:
        """What the rate is multiplied by."""
        ...


@dataclass(frozen=True, slots=True)
class Cycles:
    """`coslog`; the best states lie at the cycles' ends."""

    ends: tuple[float, ...] = (1 / 15, 3 / 15, 7 / 15, 1.0)

    def factor(self, progress: float, step: int) -> float:
        """By the progress alone."""
        del step
        return coslog(progress)


@dataclass(frozen=True, slots=True)
class Falling:
    """What a prior proposes: (1 - progress) ** power, after a few steps to warm up."""

    power: float
    ends: tuple[float, ...] = (0.2, 0.4, 0.6, 1.0)

    def factor(self, progress: float, step: int) -> float:
        """By the progress, and the step at first."""
        return rate_share(step, progress, self.power)


def coslog(progress: float) -> float:
    """Learning-rate factor: four cosine cycles from zero to zero of doubling length."""
    cycle = math.log2(1.0 + (2**_N_CYCLES - 1) * min(progress, 1.0))
    return 0.5 * (1.0 - math.cos(2.0 * math.pi * cycle))


def flat_cos(progress: float) -> float:
    """Regularisation factor: one for the first half, then a cosine down to zero."""
    if progress <= 0.5:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (2.0 * min(progress, 1.0) - 1.0)))
