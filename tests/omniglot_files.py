"""A tiny Omniglot in the form that `load_omniglot` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_drawings(path: Path) -> None:
    """8 characters to train on and 6 to test on, 20 noisy drawings of each."""
    rng = np.random.default_rng(0)
    n_characters, n_each = 14, 20
    shapes = rng.integers(0, 2, (n_characters, 1, 28, 28)) * 200
    noise = rng.integers(0, 55, (n_characters, n_each, 28, 28))
    character = np.repeat(np.arange(n_characters), n_each)
    np.savez(
        path,
        images=(shapes + noise).reshape(-1, 28, 28).astype(np.uint8),
        character=character,
        alphabet=(character >= 8).astype(np.int64),
        drawer=np.tile(np.arange(1, n_each + 1), n_characters),
        split=(character >= 8).astype(np.int64),
        alphabet_names=np.array(["first", "second"]),
    )
