"""Synthetic tables for meta-training: drawn in milliseconds, as unlike each other as real ones.

Where to change what: `sources` what columns are and how they hang together, `presentation`,
`warps` and `relations` how they are written down, `responses` what the target depends on,
`values` and `classes` what becomes of it, `defects` what is lost, `signal` which tables are
thrown away, `options` how often each happens, `mechanisms` what happens together.
"""

from autometa.priors.synthetic.options import RESPONSE_WEIGHTS, SOURCE_WEIGHTS, TableOptions
from autometa.priors.synthetic.tables import Origin, SyntheticTable, draw_table

__all__ = [
    "RESPONSE_WEIGHTS",
    "SOURCE_WEIGHTS",
    "Origin",
    "SyntheticTable",
    "TableOptions",
    "draw_table",
]
