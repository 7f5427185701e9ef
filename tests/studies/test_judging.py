"""The chosen model's judge: which rows it looks at."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from autometa.studies import judging
from autometa.studies.workspace import Workspace
from autometa.tables.preparation import TableOptions, prepare_table
from autometa.tables.reading import read_table
from autometa.tables.table import Table

Make = Callable[..., Workspace]


def _sorted_table(kind: str, n: int) -> Table:
    """A table whose rows stand in the order of their target."""
    rng = np.random.default_rng(0)
    values = np.sort(rng.normal(size=n))
    target = np.where(values < 0.84, "a", "b") if kind == "binary" else values
    frame = pl.DataFrame({"x": values + rng.normal(size=n), "y": target})
    return prepare_table(read_table(frame), TableOptions(target="y"))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_columns_are_judged_on_rows_from_all_over(kind: str, make_workspace: Make) -> None:
    """Of a table sorted by its target the rows drawn have the target of all that were scored."""
    workspace = make_workspace(_sorted_table(kind, 6_000))
    scored, drawn = workspace.splits[0].score, judging._drawn(workspace)
    assert len(scored) > judging.IMPORTANCE_ROWS
    assert len(drawn) == len(set(drawn.tolist())) == judging.IMPORTANCE_ROWS
    assert set(drawn.tolist()) <= set(scored.tolist())
    whole, part = workspace.target[scored], workspace.target[drawn]
    assert part.mean() == pytest.approx(whole.mean(), abs=0.01)
    assert part.std() == pytest.approx(whole.std(), abs=0.02)
    np.testing.assert_array_equal(judging._drawn(workspace), drawn)
    assert not np.array_equal(judging._drawn(make_workspace(_sorted_table(kind, 6_000), 1)), drawn)


def test_few_rows_are_all_judged(make_workspace: Make) -> None:
    """Below the limit no row is left out."""
    workspace = make_workspace(_sorted_table("binary", 300))
    np.testing.assert_array_equal(judging._drawn(workspace), workspace.splits[0].score)
