"""`tune` from end to end: a model comes out, the same one again, and nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from autometa.errors import AutometaError, ModelError, OptionError, TableError
from autometa.records import TrialState
from autometa.storage import Store, StudyStatus
from autometa.studies.options import TuneOptions
from autometa.studies.progress import Note, Progress
from autometa.studies.results import TuneResult
from autometa.studies.tuned_model import load_model
from autometa.studies.tuning import tune
from autometa.tables.preparation import TableOptions
from tests.studies.small_tables import TARGETS, mixed_frame

QUICK = ("linear", "lightgbm", "neighbors")


def _options(folder: Path, kind: str = "binary", n_trials: int = 4) -> TuneOptions:
    others = tuple(name for other, name in TARGETS.items() if other != kind)
    return TuneOptions(
        table=TableOptions(target=TARGETS[kind], drop=others),
        n_trials=n_trials,
        n_jobs=0,
        learners=QUICK,
        store=folder / "store.db",
        output=folder / "model",
    )


def _predictions(result: TuneResult) -> np.ndarray:
    assert result.model is not None
    outputs = load_model(result.model).predict_table(mixed_frame(50, seed=9))
    return outputs.drop("prediction").to_numpy() if outputs.width > 1 else outputs.to_numpy()


@pytest.mark.parametrize("kind", TARGETS)
def test_a_table_becomes_a_model_better_than_the_baseline(kind: str, tmp_path: Path) -> None:
    """The result names trials, members and scores; the model predicts new rows."""
    result = tune(mixed_frame(), replace(_options(tmp_path, kind), holdout=0.25))
    assert len(result.trials) == 4
    sign = 1 if result.is_greater_better else -1
    assert sign * result.score > sign * result.baseline_score
    assert result.test_score is not None
    assert result.baseline_test_score is not None
    assert sign * result.test_score > sign * result.baseline_test_score
    assert sum(member.weight for member in result.members) == pytest.approx(1.0)
    assert next(iter(result.importance)) in ("size", "colour")
    assert len(_predictions(result)) == 50


def test_the_positive_class_is_said(tmp_path: Path) -> None:
    """Tuned by F1, which is of one class, a study says of which; by log loss it says nothing."""
    options = replace(_options(tmp_path, n_trials=1), metric="f1")
    assert (
        "f1 is of class 'yes', the last of the two in order" in tune(mixed_frame(), options).notes
    )
    plain = tune(mixed_frame(), _options(tmp_path, n_trials=1))
    assert not any("is of class" in note for note in plain.notes)


def test_everything_is_in_the_store(tmp_path: Path) -> None:
    """The store holds the study, every trial with its folds, and where the model lies."""
    result = tune(mixed_frame(), _options(tmp_path))
    with Store.open(tmp_path / "store.db") as store:
        study = store.find_study(result.study)
        assert study.status.value == "finished"
        kept = store.trials(study.id)
        assert [trial.number for trial in kept] == [0, 1, 2, 3]
        assert sorted(kept, key=lambda t: t.number) == sorted(
            result.trials, key=lambda t: t.number
        )
        assert [Path(model.path) for model in store.models(study.id)] == [result.model]


def test_the_study_s_working_files_are_gone_when_it_is_finished(tmp_path: Path) -> None:
    """A finished study leaves its store and its model, nothing else."""
    tune(mixed_frame(), _options(tmp_path))
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith("store.db-")}
    assert names <= {"store.db", "model", "workspaces"}
    assert not list((tmp_path / "workspaces").iterdir())


@pytest.mark.parametrize("n_jobs", [0, 2])
def test_the_same_seed_and_trials_give_the_same_model(n_jobs: int, tmp_path: Path) -> None:
    """Trials, losses and predictions are equal, in this process or in two workers."""
    runs: list[TuneResult] = []
    for name, jobs in (("a", 0), ("b", n_jobs)):
        (tmp_path / name).mkdir()
        options = replace(_options(tmp_path / name, n_trials=8), n_jobs=jobs)
        runs.append(tune(mixed_frame(), options))
    configs = [
        sorted((t.number, t.learner, str(t.config), t.loss, t.fold_losses) for t in run.trials)
        for run in runs
    ]
    assert configs[0] == configs[1]
    assert [m.weight for m in runs[0].members] == [m.weight for m in runs[1].members]
    np.testing.assert_array_equal(_predictions(runs[0]), _predictions(runs[1]))


_SCRIPT = """
import sys
from pathlib import Path
import polars as pl
from autometa.studies.options import TuneOptions
from autometa.studies.tuning import tune
from autometa.tables.preparation import TableOptions
folder = Path(sys.argv[1])
options = TuneOptions(
    table=TableOptions(target="bought", drop=("grade", "price")),
    n_trials=int(sys.argv[2]),
    n_jobs=1,
    learners=("linear", "lightgbm", "neighbors"),
    store=folder / "store.db",
    output=folder / "model",
)
result = tune(pl.read_parquet(folder / "data.parquet"), options)
print(result.n_resumed, len(result.trials), result.is_interrupted)
"""


def _start(folder: Path, n_trials: int) -> "subprocess.Popen[str]":
    mixed_frame().write_parquet(folder / "data.parquet")
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(folder), str(n_trials)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )


def _wait_for_trials(folder: Path, n: int) -> int:
    """Wait until the store holds `n` trials; returns how many it holds."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if (folder / "store.db").exists():
            with Store.open(folder / "store.db") as store:
                studies = store.studies()
                found = len(store.trials(studies[0].id)) if studies else 0
            if found >= n:
                return found
        time.sleep(0.1)
    raise AssertionError(f"no {n} trials in two minutes")


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """After kill -9 the same command resumes with every recorded trial, and says so."""
    killed = _start(tmp_path, 500)
    _wait_for_trials(tmp_path, 3)
    killed.kill()
    killed.communicate()
    assert not (tmp_path / "model").exists()
    kept = _wait_for_trials(tmp_path, 3)
    with Store.open(tmp_path / "store.db") as store:
        assert store.check() == []
    notes: list[str] = []

    def listen(event: Progress | Note) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    frame = mixed_frame()
    result = tune(frame, _options(tmp_path, n_trials=kept + 4), listen)
    assert result.n_resumed == kept
    assert any("goes on" in note for note in notes)
    assert len(result.trials) >= kept + 3
    assert result.model is not None


def test_fresh_starts_over(tmp_path: Path) -> None:
    """With `is_fresh` an unfinished study of the same table is left alone."""
    killed = _start(tmp_path, 500)
    _wait_for_trials(tmp_path, 1)
    killed.kill()
    killed.communicate()
    result = tune(mixed_frame(), replace(_options(tmp_path), is_fresh=True))
    assert result.n_resumed == 0
    assert len(result.trials) == 4


def test_ctrl_c_finishes_with_what_there_is(tmp_path: Path) -> None:
    """An interrupted run ends by itself, with a model made of the trials it had."""
    running = _start(tmp_path, 500)
    _wait_for_trials(tmp_path, 3)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=120)
    assert said.split()[2] == "True"
    assert len(load_model(tmp_path / "model").predict(mixed_frame(5))) == 5


def test_when_nothing_finishes_the_model_is_the_baseline(tmp_path: Path) -> None:
    """With hardly any time a model is still written, and a note says what it is."""
    options = replace(_options(tmp_path), n_trials=None, time_s=0.01)
    result = tune(mixed_frame(), options)
    assert [member.learner for member in result.members] == ["constant"]
    assert any("baseline" in note for note in result.notes)
    assert result.score == pytest.approx(result.baseline_score, rel=0.05)


def test_a_model_is_not_replaced_by_the_baseline(tmp_path: Path) -> None:
    """When nothing finished, an earlier model in the same place stays, which is an error.

    The study is not over: the same command goes on with it.
    """
    options = _options(tmp_path)
    tune(mixed_frame(), options)
    before = (tmp_path / "model" / "card.json").read_bytes()
    with pytest.raises(ModelError, match="left as it was"):
        tune(mixed_frame(), replace(options, n_trials=None, time_s=0.01, is_fresh=True))
    assert (tmp_path / "model" / "card.json").read_bytes() == before
    with Store.open(tmp_path / "store.db") as store:
        assert store.studies()[0].status is StudyStatus.INTERRUPTED
        assert len(list((tmp_path / "workspaces").iterdir())) == 1


def test_after_a_split_in_time_the_model_knows_the_newest_rows(tmp_path: Path) -> None:
    """Where the splits leave rows untrained, the members are fitted once more on all rows."""
    n = 600
    rng = np.random.default_rng(0)
    x, when = rng.normal(size=n), np.arange(n)
    slope = np.where(when < n * 0.8, 1.0, 5.0)
    frame = pl.DataFrame({"x": x, "z": rng.normal(size=n), "when": when, "y": slope * x})
    options = TuneOptions(
        table=TableOptions(target="y", time="when"),
        n_trials=2,
        n_jobs=0,
        learners=("linear",),
        store=tmp_path / "store.db",
        output=tmp_path / "model",
    )
    result = tune(frame, options)
    assert result.model is not None
    card = load_model(result.model).card
    assert all(len(member["folds"]) == 1 for member in card["members"])
    low, high = load_model(result.model).predict(pl.DataFrame({"x": [0.0, 1.0], "z": [0.0, 0.0]}))
    assert float(high) - float(low) > 1.1  # every fold's own model knows slope 1 only


def test_where_little_loss_is_left_models_of_all_rows_have_half_of_the_vote(
    tmp_path: Path,
) -> None:
    """Cross-validation of a table whose columns tell the target ends in fits on all rows, too."""
    x = np.random.default_rng(0).normal(size=(300, 2))
    frame = pl.DataFrame({"x": x[:, 0], "z": x[:, 1], "y": 3 * x[:, 0] - x[:, 1]})
    options = TuneOptions(
        table=TableOptions(target="y"),
        n_trials=2,
        n_jobs=0,
        learners=("linear",),
        store=tmp_path / "store.db",
        output=tmp_path / "model",
    )
    result = tune(frame, options)
    assert result.model is not None
    for member in load_model(result.model).card["members"]:
        shares = [fold["share"] for fold in member["folds"]]
        assert sum(shares[-2:]) == pytest.approx(0.5)
        assert sum(shares) == pytest.approx(1.0)
        assert len(shares) > 4


def test_two_runs_of_one_study_at_once_do_not_meet(tmp_path: Path) -> None:
    """While a process runs a study, the same command elsewhere starts one of its own."""
    running = _start(tmp_path, 500)
    _wait_for_trials(tmp_path, 1)
    result = tune(mixed_frame(), replace(_options(tmp_path), output=tmp_path / "other"))
    running.kill()
    running.communicate()
    assert result.n_resumed == 0
    assert len(result.trials) == 4


def test_progress_is_told(tmp_path: Path) -> None:
    """A listener hears of notes and of the search's progress, with scores against the baseline."""
    events: list[Progress | Note] = []
    tune(mixed_frame(), _options(tmp_path), events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [progress[0].stage, progress[-1].stage] == ["searching", "done"]
    assert progress[-1].n_complete + progress[-1].n_pruned + progress[-1].n_failed == 4
    assert any(isinstance(event, Note) for event in events)


def _foreign_output(folder: Path) -> TuneOptions:
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.txt").write_text("years of work")
    return replace(_options(folder), output=folder / "mine")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_foreign_output, ModelError),
        (lambda f: replace(_options(f), table=TableOptions(target="nowhere")), TableError),
        (lambda f: replace(_options(f), metric="unheard of"), OptionError),
        (lambda f: replace(_options(f), n_jobs=1, memory_mb=50.0), OptionError),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_touched(
    make: Callable[[Path], TuneOptions], kind: type[AutometaError], tmp_path: Path
) -> None:
    """An option that cannot work is a clear error, and no model folder appears or changes."""
    options = make(tmp_path)
    with pytest.raises(kind):
        tune(mixed_frame(), options)
    assert not (tmp_path / "model").exists()
    assert [path.name for path in (tmp_path / "mine").glob("*")] in ([], ["thesis.txt"])


@pytest.mark.parametrize(
    "words",
    [
        {"n_trials": 0},
        {"time_s": -1.0},
        {"holdout": 1.5},
        {"n_jobs": -1},
        {"n_jobs": 0, "memory_mb": 4096.0},
        {"seed": -1},
        {"seed": 2**63},
        {"learners": ("oracle",)},
        {"holdout": 0.2, "test": "more.csv"},
    ],
)
def test_options_are_checked_when_they_are_made(words: dict[str, object]) -> None:
    """Options that contradict themselves or lie out of range are refused at once."""
    with pytest.raises(OptionError):
        TuneOptions(**words)  # type: ignore[arg-type]  # the point is that they are wrong


def test_any_seed_that_is_allowed_works(tmp_path: Path) -> None:
    """The largest seed goes through splits, sampler, learners and the store."""
    options = replace(_options(tmp_path, "regression", n_trials=3), seed=2**63 - 1)
    result = tune(mixed_frame(), options)
    assert {trial.state for trial in result.trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    with Store.open(tmp_path / "store.db") as store:
        assert store.find_study(result.study).seed == 2**63 - 1


def test_failed_trials_are_kept_with_their_reason(tmp_path: Path) -> None:
    """A trial whose worker runs out of memory is recorded, and the study ends with a model."""
    frame = mixed_frame(3000)
    options = replace(
        _options(tmp_path, n_trials=5), n_jobs=1, memory_mb=1050.0, learners=("linear", "network")
    )
    result = tune(frame, options)
    assert result.model is not None
    failed = [trial for trial in result.trials if trial.state.is_failure]
    assert all(trial.error for trial in failed)
    assert any(trial.state is TrialState.COMPLETE for trial in result.trials)
