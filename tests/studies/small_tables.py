"""Small real tables for the tests of studies."""

import numpy as np
import polars as pl

from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import read_table
from autometa.tables.table import Table


def mixed_frame(n: int = 200, seed: int = 0) -> pl.DataFrame:
    """Numbers, a category, missing cells; three targets that depend on them."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n)
    colour = rng.choice(["red", "green", "blue"], n)
    signal = size + (colour == "red") + rng.normal(scale=0.5, size=n)
    return pl.DataFrame(
        {
            "size": np.where(rng.random(n) < 0.1, np.nan, size),
            "noise": rng.normal(size=n),
            "colour": colour,
            "grade": np.digitize(signal, [-0.5, 1.0]).astype(str),
            "bought": np.where(signal > 0.3, "yes", "no"),
            "price": signal * 10,
        }
    )


TARGETS = {"binary": "bought", "multiclass": "grade", "regression": "price"}


def mixed_table(kind: str, n: int = 200, seed: int = 0) -> Table:
    """The mixed frame as a table with one of its targets."""
    others = tuple(name for other, name in TARGETS.items() if other != kind)
    options = TableOptions(target=TARGETS[kind], drop=others)
    return prepare_table(read_table(mixed_frame(n, seed)), options)
