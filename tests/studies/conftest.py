"""What the tests of studies share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autometa.metrics import find_metric
from autometa.studies.workspace import Workspace
from autometa.tables.splits import plan_splits
from autometa.tables.table import Table


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[..., Workspace]:
    """A workspace of a table, in a folder of its own for every call."""
    made: list[Workspace] = []

    def make(table: Table, seed: int = 0, metric_name: str | None = None) -> Workspace:
        plan = plan_splits(table, seed=seed)
        metric = find_metric(metric_name, table.schema.target.kind)
        folder = tmp_path / f"workspace-{len(made)}"
        made.append(Workspace.create(folder, table, plan, metric, seed))
        return made[-1]

    return make
