"""Small real models for the tests of model folders: fitted trials of a small table."""

from collections.abc import Sequence
from pathlib import Path

from autometa.metrics import find_metric
from autometa.search.pruning import NeverPolicy
from autometa.studies.evaluation import WorkUnit, evaluate
from autometa.studies.model_folder import FoldFolders, Member, ModelParts
from autometa.studies.workspace import Workspace
from autometa.tables.splits import plan_splits
from autometa.tables.table import Table
from tests.studies.small_tables import mixed_table


def make_parts(
    folder: Path, kind: str, learners: Sequence[str] = ("linear", "forests"), n: int = 120
) -> ModelParts:
    """The parts of a model: trials of these learners on the mixed table, fitted in `folder`."""
    table = mixed_table(kind, n)
    return parts_of(table, open_workspace(folder, table), learners)


def open_workspace(folder: Path, table: Table) -> Workspace:
    """A workspace of the table, with few splits for the sake of speed."""
    plan = plan_splits(table, seed=0)
    metric = find_metric(None, table.schema.target.kind)
    return Workspace.create(folder, table, plan, metric, 0)


def parts_of(table: Table, workspace: Workspace, learners: Sequence[str]) -> ModelParts:
    """One member per learner, the first of twice the others' weight."""
    shares = [2.0, *[1.0] * (len(learners) - 1)]
    members: list[Member] = []
    for number, learner in enumerate(learners):
        unit = WorkUnit(workspace.folder, number, learner, {}, "test", NeverPolicy())
        record = evaluate(unit)
        assert record.loss is not None, record.error
        folder = workspace.trial_folder(number)
        folds = tuple(
            FoldFolders(workspace.encoder_folder(i), folder / str(i))
            for i in range(len(workspace.splits))
        )
        members.append(Member(record, shares[number] / sum(shares), record.loss, folds))
    trials = tuple(member.trial for member in members)
    card = {"metric": workspace.metric.name, "table": {"name": table.name}}
    return ModelParts(table.schema, tuple(members), 1.0, card, trials)
