"""What a study works on: its baseline is one and the same wherever it is met."""

from pathlib import Path

import pytest

from autometa.search.pruning import NeverPolicy
from autometa.studies.evaluation import WorkUnit, evaluate
from autometa.studies.options import TuneOptions
from autometa.studies.setting import make_setting, measure_baseline
from autometa.studies.workspace import Workspace
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import mixed_frame


@pytest.mark.parametrize("metric", ["rmse", "mae", "mape", "rmsle", "max_error", "r2"])
def test_the_baseline_to_beat_is_the_baseline_to_save(metric: str, tmp_path: Path) -> None:
    """What a study shows as its baseline is the loss of the model its ensemble has to beat."""
    frame = mixed_frame().drop("grade", "bought")
    frame = frame.with_columns(price=(frame["price"] / 10).exp())
    options = TuneOptions(table=TableOptions(target="price"), metric=metric, n_trials=1)
    setting = make_setting(frame, options)
    workspace = Workspace.create(
        tmp_path / "w", setting.table, setting.plan, setting.metric, options.seed
    )
    unit = WorkUnit(workspace.folder, 0, "constant", {}, "test", NeverPolicy())
    # where splits are repeated, the one is a mean over them and the other of the last
    assert evaluate(unit).loss == pytest.approx(measure_baseline(setting).loss, rel=2e-3)
