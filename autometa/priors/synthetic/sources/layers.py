"""Columns as units of a random layered network, from any of its layers.

As the multilayer causal models of TabPFN's prior (arXiv 2207.01848), weights dropped block-wise.

Axes: N rows, D columns, H units of a layer.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Array, Hidden, standardized
from autometa.priors.synthetic.activations import activate_blocks, draw_palette
from autometa.priors.synthetic.randomness import log_uniform
from autometa.priors.synthetic.sources.roots import draw_roots

N_UNITS = 6  # hidden units that are handed on, as candidates for the target


def draw_layers(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns (D, N) and hidden units: neighbours in the network, or units from anywhere."""
    n_layers = 2 + int(rng.random() * 4)
    needed = n_columns + N_UNITS
    # widths up to twice what is needed, so that many units stay hidden
    width = max(4, int(np.ceil(needed / n_layers * (1 + rng.random()))))
    layers = [draw_roots(rng, 1 + int(rng.random() * width), n_rows)]
    palette, noise = draw_palette(rng), np.float32(log_uniform(rng, 1e-3, 0.5))
    for _ in range(n_layers):
        mixed = standardized(_draw_weights(rng, width, len(layers[-1])) @ layers[-1])
        bent = activate_blocks(rng, mixed, palette)
        own = rng.standard_normal((width, n_rows), np.float32) * noise
        layers.append(np.clip(standardized(bent + own), -FARTHEST, FARTHEST))
    units = np.concatenate(layers[1:])
    start = int(rng.random() * (len(units) - needed + 1))
    is_clique = rng.random() < 0.5
    chosen = np.arange(start, start + needed) if is_clique else rng.permutation(len(units))
    chosen = rng.permutation(chosen[:needed])
    return Hidden(units[chosen[:n_columns]], units[chosen[n_columns:]])


def _draw_weights(rng: np.random.Generator, n_out: int, n_in: int) -> Array:
    """Weights (H, inputs): in one to four blocks that do not see each other, some dropped."""
    weights = rng.standard_normal((n_out, n_in), np.float32)
    n_blocks = 1 + int(rng.random() * 4)
    block_out = np.arange(n_out) * n_blocks // n_out
    block_in = np.arange(n_in) * n_blocks // n_in
    is_kept = rng.random((n_out, n_in)) > 0.6 * rng.random()  # at most 0.6 dropped, as TabPFN
    # a few weights between blocks stay, else a block's columns would tell nothing of another's
    is_kept &= (block_out[:, None] == block_in) | (rng.random((n_out, n_in)) < 0.1)
    is_kept[np.arange(n_out), rng.integers(0, n_in, n_out)] = True
    return weights * is_kept
