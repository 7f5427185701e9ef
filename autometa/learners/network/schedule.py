"""How learning rate, dropout and decay move over training: pure functions of progress in [0, 1].

From RealMLP (Holzmüller et al. 2024, "Better by Default", appendix A): `coslog4` and `flat_cos`.
"""

from __future__ import annotations

import math

_N_CYCLES = 4  # RealMLP-TD: four cycles, each twice as long as the one before


def coslog(progress: float) -> float:
    """Learning-rate factor: four cosine cycles from zero to zero of doubling length."""
    cycle = math.log2(1.0 + (2**_N_CYCLES - 1) * min(progress, 1.0))
    return 0.5 * (1.0 - math.cos(2.0 * math.pi * cycle))


def flat_cos(progress: float) -> float:
    """Regularisation factor: one for the first half, then a cosine down to zero."""
    if progress <= 0.5:
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (2.0 * min(progress, 1.0) - 1.0)))
