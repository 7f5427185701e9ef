"""Studies of other tools in the store: the same source twice changes nothing, a grown one adds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import optuna
import polars as pl
import pytest

from autometa.errors import HistoryError, OptionError
from autometa.records import TrialState
from autometa.search.spaces import LEARNER
from autometa.storage import Store, StudySummary
from autometa.studies.histories import read_store
from autometa.studies.moving.csv_trials import CsvColumns
from autometa.studies.moving.exporting import ExportOptions, export_history
from autometa.studies.moving.foreign import UNKNOWN_LEARNER, split_params
from autometa.studies.moving.importing import Imported, import_csv, import_history, import_optuna

ROWS = {
    "task": ["iris", "iris", "wine", "iris"],
    "accuracy": [0.5, None, 0.75, 0.5],
    "model": ["linear", "svm", "linear", "linear"],
    "smoothing": [1.0, None, 3.0, 1.0],
    "kernel": [None, "rbf", None, None],
    "seconds": [1.0, 2.0, None, 1.0],
}
COLUMNS = CsvColumns("task", score="accuracy", learner="model", cost="seconds")


@pytest.fixture(name="csv")
def fixture_csv(tmp_path: Path) -> Path:
    path = tmp_path / "evaluations.csv"
    pl.DataFrame(ROWS).write_csv(path)
    return path


@pytest.fixture(name="url")
def fixture_url(tmp_path: Path) -> str:
    """An Optuna database with trials of all ends, one that still runs, and two objectives."""
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(storage=url, study_name="mine", direction="maximize")
    sampler = optuna.samplers.RandomSampler(seed=0)
    study.sampler = sampler
    study.set_user_attr("n_rows", 150)
    study.optimize(_objective, n_trials=8)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    study.ask({"C": optuna.distributions.FloatDistribution(0.0, 1.0)})
    two = optuna.create_study(storage=url, study_name="two", directions=["minimize", "maximize"])
    two.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=1)
    return url


def _objective(trial: optuna.Trial) -> float:
    c = trial.suggest_float("C", 0.0, 1.0)
    for step in range(2):
        trial.report(c + step, step)
    if trial.number == 3:
        raise optuna.TrialPruned
    return c


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _new(imported: Imported) -> dict[str, int]:
    return {name: tally.n_new for name, tally in imported.tallies.items() if tally.n_new}


def _studies(path: Path) -> list[StudySummary]:
    with Store.open(path) as store:
        return store.studies()


def test_an_optuna_study_comes_trial_by_trial(url: str, tmp_path: Path) -> None:
    """With numbers, values as losses, curves and ends; what runs still is left for later."""
    imported = import_optuna(url, tmp_path / "s.db")
    assert _new(imported)["trials"] == 9
    assert imported.notes == (
        "study 'two' has several objectives and no one loss: it is left out",
    )
    source = optuna.load_study(study_name="mine", storage=url)
    with Store.open(tmp_path / "s.db") as store:
        (study,) = store.studies()
        assert (study.table_name, study.metric, study.status) == ("mine", "-value", "finished")
        assert study.best_loss == -source.best_value
        trials = store.trials(study.id)
        assert store.tables()[0].description == {"n_rows": 150.0}
        assert store.check() == []
    by_number = {trial.number: trial for trial in source.trials}
    for trial in trials:
        theirs = by_number[trial.number]
        assert trial.config == theirs.params
        assert trial.loss == (None if theirs.value is None or trial.number == 3 else -theirs.value)
        assert [-point.loss for point in trial.curve] == list(theirs.intermediate_values.values())
        assert theirs.duration is not None
        assert trial.duration_s == theirs.duration.total_seconds()
    assert [trials[at].state for at in (0, 3, 8)] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.FAILED,
    ]


def test_optuna_studies_are_imported_once(url: str, tmp_path: Path) -> None:
    """Again nothing comes; of a study that went on what is new; the source stays as it is."""
    store, source = tmp_path / "s.db", tmp_path / "optuna.db"
    import_optuna(url, store)
    before = _hash(source)
    assert _new(import_optuna(source, store)) == {}
    assert _hash(source) == before
    study = optuna.load_study(study_name="mine", storage=url)
    study.optimize(_objective, n_trials=2)
    grown = import_optuna(url, store)
    assert _new(grown) == {"trials": 2}
    assert grown.tallies["studies"].n_changed == 1
    assert sum(_studies(store)[0].n_trials.values()) == 11
    assert _new(import_optuna(url, store, names=("mine",))) == {}


def test_two_databases_with_studies_of_one_name_are_two(url: str, tmp_path: Path) -> None:
    """They began at other moments, whatever they are called."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    optuna.create_study(storage=other, study_name="mine").optimize(_objective, n_trials=5)
    store = tmp_path / "s.db"
    import_optuna(url, store)
    assert _new(import_optuna(other, store))["trials"] == 5
    assert [study.table_name for study in _studies(store)] == ["mine", "mine"]


def test_optuna_sources_that_cannot_be_read(url: str, tmp_path: Path) -> None:
    """A mistyped path, another file, a study that is not there: said, and no store is made."""
    store = tmp_path / "s.db"
    with pytest.raises(HistoryError, match="no Optuna storage"):
        import_optuna(tmp_path / "none.db", store)
    with pytest.raises(HistoryError, match="no study 'yours'"):
        import_optuna(url, store, names=("yours",))
    assert not store.exists()


def test_a_csv_comes_as_a_study_of_each_task(csv: Path, tmp_path: Path) -> None:
    """Scores are negated, an empty one failed, settings that are empty were not active."""
    store_path = tmp_path / "s.db"
    assert _new(import_csv(csv, store_path, COLUMNS)) == {"tables": 2, "studies": 2, "trials": 4}
    with Store.open(store_path) as store:
        studies = {study.table_name: study for study in store.studies()}
        assert studies["iris"].metric == "-accuracy"
        assert studies["iris"].best_loss == -0.5
        trials = store.trials(studies["iris"].id)
        assert [(trial.learner, trial.config, trial.loss) for trial in trials] == [
            ("linear", {"smoothing": 1.0}, -0.5),
            ("svm", {"kernel": "rbf"}, None),
            ("linear", {"smoothing": 1.0}, -0.5),
        ]
        assert trials[1].state is TrialState.FAILED
        assert [trial.duration_s for trial in trials] == [1.0, 2.0, 1.0]
        assert store.check() == []


def test_a_csv_is_imported_once(csv: Path, tmp_path: Path) -> None:
    """In whatever order its rows stand; one more of the same is one more."""
    store = tmp_path / "s.db"
    import_csv(csv, store, COLUMNS)
    first = export_history(tmp_path / "first", ExportOptions(store)).output.read_bytes()
    frame = pl.read_csv(csv)
    frame.reverse().write_csv(csv)
    assert _new(import_csv(csv, store, COLUMNS)) == {}
    assert export_history(tmp_path / "again", ExportOptions(store)).output.read_bytes() == first
    pl.concat([frame[:1], frame]).write_csv(csv)
    assert _new(import_csv(csv, store, COLUMNS)) == {"trials": 1}
    assert _new(import_csv(csv, store, COLUMNS)) == {}


def test_a_score_of_nothing_is_known_again(tmp_path: Path) -> None:
    """Zero negated is zero; a path in a config is not kept, and known again all the same."""
    path, store = tmp_path / "e.csv", tmp_path / "s.db"
    pl.DataFrame({"task": ["t"], "auc": [0.0], "file": ["/home/ann/x"]}).write_csv(path)
    columns = CsvColumns("task", score="auc")
    assert _new(import_csv(path, store, columns))["trials"] == 1
    assert _new(import_csv(path, store, columns)) == {}


def test_a_csv_needs_one_column_to_judge_by(csv: Path, tmp_path: Path) -> None:
    """Neither none nor two; and it must be there."""
    for words in ({}, {"score": "a", "loss": "b"}):
        with pytest.raises(OptionError, match="--score-column"):
            CsvColumns("task", **words)
    with pytest.raises(HistoryError, match="no column 'auc'"):
        import_csv(csv, tmp_path / "s.db", CsvColumns("task", score="auc"))


def test_what_no_store_can_hold_is_refused(tmp_path: Path) -> None:
    """A learner's name that PostgreSQL would cut off, for instance: nothing comes."""
    path, store = tmp_path / "e.csv", tmp_path / "s.db"
    pl.DataFrame({"task": ["t"], "auc": [0.5], "model": ["x" * 256]}).write_csv(path)
    with pytest.raises(HistoryError, match="cannot be the 'learner'"):
        import_csv(path, store, CsvColumns("task", score="auc", learner="model"))
    assert _studies(store) == []


def test_what_came_moves_on_like_all_history(url: str, csv: Path, tmp_path: Path) -> None:
    """To an empty store and back to the same bytes; the colleague's own import adds nothing."""
    first, second = tmp_path / "1.db", tmp_path / "2.db"
    import_optuna(url, first)
    import_csv(csv, first, COLUMNS)
    file = export_history(tmp_path / "h", ExportOptions(first)).output
    import_history(file, second)
    again = export_history(tmp_path / "again", ExportOptions(second)).output
    assert again.read_bytes() == file.read_bytes()
    assert _new(import_optuna(url, second)) == {}
    assert _new(import_csv(csv, second, COLUMNS)) == {}


@pytest.mark.parametrize(
    ("params", "learner", "found"),
    [
        ({"x": 1}, None, (UNKNOWN_LEARNER, {"x": 1})),
        ({"x": 1}, "svm", ("svm", {"x": 1})),
        ({LEARNER: "linear", "linear.x": 1, "forest.y": 2}, None, ("linear", {"x": 1})),
        ({LEARNER: "linear", "linear__x": 1}, None, ("linear", {"x": 1})),
        ({LEARNER: "linear", "x": 1}, None, ("linear", {"x": 1})),
        ({"linear.x": 1, "svm.x": 2}, "linear", ("linear", {"x": 1})),
        ({LEARNER: 3, "x": 1}, None, (UNKNOWN_LEARNER, {LEARNER: 3, "x": 1})),
    ],
)
def test_whose_config_it_is(
    params: dict[str, object], learner: str | None, found: tuple[str, dict[str, object]]
) -> None:
    """By a column, by the joint names with a dot or two underscores, or nobody knows."""
    assert split_params(params, learner) == found  # type: ignore[arg-type] # scalars all


def test_what_came_can_be_learned_from(url: str, csv: Path, tmp_path: Path) -> None:
    """A task of each, in the joint names; incomparable losses are never one task."""
    path = tmp_path / "s.db"
    import_optuna(url, path)
    import_csv(csv, path, COLUMNS)
    with Store.open(path) as store:
        history = read_store(store)
    tasks = {task.name: task for task in history.tasks}
    assert set(tasks) == {"mine", "iris", "wine"}
    assert tasks["iris"].configs[0] == {LEARNER: "linear", "linear.smoothing": 1.0}
    assert {f"{UNKNOWN_LEARNER}.C", "linear.smoothing", "svm.kernel"} <= set(history.distributions)
