"""Columns of rows that belong to groups: pupils of schools, visits of patients, shops of towns.

Some columns are the group's, the same in all its rows; the others vary within and between groups.

Axes: N rows, D columns, G groups.
"""

from __future__ import annotations

import numpy as np

from autometa.priors.synthetic._base import FARTHEST, Hidden, standardized
from autometa.priors.synthetic.randomness import draw_positions, log_uniform_int, zipf_shares
from autometa.priors.synthetic.sources.factors import draw_loadings
from autometa.priors.synthetic.sources.roots import draw_roots

N_UNITS = 3


def draw_panel(rng: np.random.Generator, n_columns: int, n_rows: int) -> Hidden:
    """Columns (D, N) and groups; units mix what is the group's and what is the row's."""
    n_groups = log_uniform_int(rng, 3, max(4, n_rows // 4))
    groups = draw_positions(rng, zipf_shares(rng, n_groups), n_rows)
    needed = n_columns + N_UNITS
    n_factors = 1 + int(rng.random() * 6)
    of_group = draw_loadings(rng, needed, n_factors) @ draw_roots(rng, n_factors, n_groups)
    of_row = draw_loadings(rng, needed, n_factors) @ draw_roots(rng, n_factors, n_rows)
    of_row += 0.5 * rng.standard_normal(of_row.shape, np.float32)
    # the share of a column's variance that lies between groups; schools have about .1 to .3
    between = rng.beta(0.5, 1.0, (needed, 1)).astype(np.float32)
    is_of_group = rng.random(needed) < 0.5 * rng.random()
    between[is_of_group] = 1
    columns = of_group[:, groups] * np.sqrt(between) + of_row * np.sqrt(np.float32(1) - between)
    columns = np.clip(standardized(columns), -FARTHEST, FARTHEST)
    return Hidden(columns[:n_columns], columns[n_columns:], groups)
