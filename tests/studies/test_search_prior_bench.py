"""The benchmark of search: folders in both forms, who may know what, opponents, and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import polars as pl
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from autometa.errors import OptionError
from autometa.spaces import Config
from autometa.studies.benchmarks import run_benchmark
from autometa.studies.benchmarks.search._contests import (
    Contest,
    Plan,
    Target,
    default_metric,
    is_loss,
)
from autometa.studies.benchmarks.search._cost import CostPlan, measure_cost
from autometa.studies.benchmarks.search._evaluations import read_evaluations, scenario_names
from autometa.studies.benchmarks.search._families import families_of, folds_of
from autometa.studies.benchmarks.search._figures import Regrets
from autometa.studies.benchmarks.search._harm import HARMS, harmed
from autometa.studies.benchmarks.search._methods import Knowledge
from autometa.studies.benchmarks.search._objectives import NearestObjective, Surrogate
from autometa.studies.benchmarks.search._pool_samplers import (
    PoolSampler,
    expected_improvement,
    greedy_portfolio,
)
from autometa.studies.benchmarks.search._runs import FILE, Run, Unit, run_all, run_unit, seed_of
from autometa.studies.benchmarks.search._spaces import space_of_grid, without_idle

TASKS = ("allbp", "hypothyroid", "crx", "credit-a", "iris", "wdbc", "vote", "titanic")
FOREIGN = "12345"  # a name that is a number
MISSING = {"C": 0.1, "kernel": "rbf", "degree": 2}  # evaluated on one task only


def grid() -> list[Config]:
    """A full grid: with the kernel "rbf" the degree does nothing and has one value."""
    return [
        {"C": c, "kernel": kernel, "degree": degree}
        for c in (0.01, 0.1, 1.0, 10.0, 100.0)
        for kernel in ("poly", "rbf")
        for degree in ((2, 3, 4) if kernel == "poly" else (2,))
    ]


def score(config: Config, task: str) -> float:
    """Best near C = 1 whatever the task; whole numbers tell tasks apart."""
    c, degree = config["C"], config.get("degree", 2)
    assert isinstance(c, float)
    assert isinstance(degree, int)
    shift = 0.1 * (sum(map(ord, task)) % 5)
    of_kernel = 0.1 if config["kernel"] == "rbf" else 0.02 * degree
    return 0.9 - 0.1 * (math.log10(c) - shift) ** 2 + of_kernel


@pytest.fixture
def long_folder(tmp_path: Path) -> Path:
    rows = [
        {
            "dataset": task,
            "algorithm": "SVC",
            "parameters": json.dumps(config),
            "bal_accuracy": score(config, task),
            "source": source,
        }
        for task in TASKS
        for config in grid()
        for source in ("edited-formatted-filtered", "short-formatted")
        if config != MISSING or task == "iris"
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "runs.parquet")
    described = {"": TASKS, "n_rows": range(len(TASKS)), "_version": [1] * len(TASKS)}
    pl.DataFrame(described).write_csv(tmp_path / "some_metafeatures.csv")
    return tmp_path


def wide_configs() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    is_deep = np.arange(30) % 2 == 0
    return pl.DataFrame(
        {
            "config_id": range(30),
            "rate": 10.0 ** rng.uniform(-4, -1, 30),
            "kind": ["deep" if deep else "flat" for deep in is_deep],
            "layers": [float(rng.integers(1, 6)) if deep else None for deep in is_deep],
        }
    )


@pytest.fixture
def wide_folder(tmp_path: Path) -> Path:
    """Tasks with numbers for names, and a surrogate that made their scores (`loss`, `time`)."""
    folder = tmp_path / "yahpo" / "made"
    folder.mkdir(parents=True)
    configs = wide_configs()
    configs.write_parquet(tmp_path / "made_configs.parquet")
    (folder / "model.onnx").write_bytes(linear_model(np.array(_WEIGHTS, dtype=np.float32)))
    (folder / "config_space.json").write_text(json.dumps({"hyperparameters": _LISTED}))
    (folder / "encoding.json").write_text(json.dumps(_CODES))
    (folder / "param_set.R").write_text("p(\n  epoch = 1,\n  rate = 2,\n  layers = 3)")
    rows = [
        {"task_id": task, "config_id": row["config_id"], "loss": loss, "time": 2.0 * loss}
        for task in _CODES["task"]
        if task != "#na#"
        for row in configs.to_dicts()
        for loss in [_made_loss(row, task)]
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "made_results.parquet")
    return tmp_path


# the surrogate's own order: task, kind | epoch, rate, layers -> loss, time
_WEIGHTS = [[0.5, 1.0], [0.25, 0.5], [0.01, 0.02], [3.0, 6.0], [-0.125, -0.25]]
_CODES = {
    "task": {"#na#": 0, "11": 1, "12": 2, "13": 3},
    "kind": {"#na#": 0, "deep": 1, "flat": 2},
}
_NUMBER = {"type": "uniform_float", "log": False, "default": 2.0}
_LISTED = [
    {"name": "rate", **_NUMBER, "log": True, "lower": 1e-4, "upper": 1e-1},
    {"name": "kind", "type": "categorical", "choices": ["deep", "flat"]},
    {"name": "layers", **_NUMBER, "type": "uniform_int", "lower": 1, "upper": 5},
    {"name": "epoch", **_NUMBER, "type": "uniform_int", "lower": 1, "upper": 9},
    {"name": "task", "type": "categorical", "choices": ["11", "12", "13"]},
]


def _made_loss(row: Config, task: str) -> float:
    """What the surrogate's model gives at nine epochs, in float32 as there."""
    kind = _CODES["kind"][str(row["kind"])]
    inputs = [_CODES["task"][task], kind, 9.0, row["rate"], row["layers"] or 0.0]
    weights = np.array(_WEIGHTS, dtype=np.float32)[:, 0]
    return float(np.array(inputs, dtype=np.float32) @ weights)


def test_near_copies_are_one_family(tmp_path: Path) -> None:
    """Variants and other names of one dataset are kin, others are not, and a list overrules."""
    text = "allbp ann-thyroid GAMETES_a GAMETES_b analcatdata_boxing1 analcatdata_boxing2 crx"
    names = f"{text} credit-g analcatdata_dmft iris 16 161".split()
    known = families_of(names, tmp_path)
    assert known["allbp"] == known["ann-thyroid"]
    assert known["GAMETES_a"] == known["GAMETES_b"]
    assert known["analcatdata_boxing1"] == known["analcatdata_boxing2"]
    assert known["crx"] == known["credit-g"]
    assert len(set(known.values())) == 8
    (tmp_path / "families.csv").write_text("task,family\n16,x\n161,x\n")
    assert families_of(["16", "161"], tmp_path) == {"16": "x", "161": "x"}


def test_families_are_dealt_evenly() -> None:
    """Folds differ by one family at most, whatever order the families come in."""
    names = [f"family {at}" for at in range(23)]
    folds = folds_of(names, 5, seed=0)
    assert sorted(np.bincount(list(folds.values())).tolist()) == [4, 4, 5, 5, 5]
    assert folds == folds_of(names[::-1], 5, seed=0)


def test_a_grid_becomes_a_conditional_space() -> None:
    """What is constant beside a choice is absent there, and numbers are places in their order."""
    configs = without_idle(grid())
    space = space_of_grid(configs)
    assert space.distributions["C"] == IntDistribution(0, 4)
    assert space.distributions["degree"] == IntDistribution(0, 2)
    assert not space.conditions["degree"].holds({"kernel": "rbf"})
    assert space.conditions["degree"].holds({"kernel": "poly"})
    assert list(space.distributions).index("kernel") < list(space.distributions).index("degree")
    assert space.fitted({"C": 0.1, "kernel": "poly", "degree": 4}) == {
        "C": 1,
        "kernel": "poly",
        "degree": 2,
    }


def test_a_number_may_be_a_parent() -> None:
    """A setting that only some whole numbers have is asked for beside their places alone."""
    configs: list[Config] = [
        {"depth": depth, **({"rate": rate} if depth > 4 else {})}
        for depth in (2, 4, 8)
        for rate in (0.1, 1.0)
    ]
    space = space_of_grid(configs)
    holds = [space.conditions["rate"].holds(space.fitted({"depth": depth})) for depth in (2, 4, 8)]
    assert holds == [False, False, True]


def test_the_past_has_nothing_of_the_targets_fold(long_folder: Path) -> None:
    """In one folder, no past task is of the target's family, and kin have the same past."""
    contest = Contest(Plan(long_folder, long_folder, "runs/SVC"))
    assert len(contest.targets) == len(TASKS)
    past = {target.task: contest.past_of(target) for target in contest.targets}
    for target in contest.targets:
        assert target.family not in past[target.task].families
        assert past[target.task].tasks
    assert past["allbp"].tasks == past["hypothyroid"].tasks


def test_another_folder_teaches_whole(long_folder: Path, tmp_path: Path) -> None:
    """Where folders share no task, all the history is the past, but the target's family."""
    new = tmp_path / "new"
    new.mkdir()
    table = pl.read_parquet(long_folder / "runs.parquet")
    names = {"crx": "credit-g", "iris": FOREIGN}
    kept = table.filter(pl.col("dataset").is_in(list(names)))
    kept.with_columns(pl.col("dataset").replace(names)).write_parquet(new / "runs.parquet")
    contest = Contest(Plan(long_folder, new, "runs/SVC"))
    past = {target.task: set(contest.past_of(target).tasks) for target in contest.targets}
    assert past == {"credit-g": set(TASKS) - {"crx", "credit-a"}, FOREIGN: set(TASKS)}


def test_descriptions_come_along(long_folder: Path) -> None:
    """Numeric traits of the folder's descriptions are known of every task, private ones not."""
    contest = Contest(Plan(long_folder, long_folder, "runs/SVC"))
    target = next(one for one in contest.targets if one.task == "crx")
    assert contest.description(target) == {"n_rows": 2.0}
    assert all(
        set(task.description) == {"n_rows"} for task in contest.past_of(target).history().tasks
    )


def test_what_was_not_tried_is_answered_by_what_is_nearest(long_folder: Path) -> None:
    """A config of the grid without a result has its neighbour's, and the past leaves it out."""
    contest = Contest(Plan(long_folder, long_folder, "runs/SVC"))
    target = next(one for one in contest.targets if one.task == "crx")
    objective = contest.objective(target)
    answers = {score(config, "crx") for config in grid()}
    assert objective(contest.space.fitted({"C": 0.1, "kernel": "rbf"})) in answers
    known: Config = {"C": 1.0, "kernel": "rbf"}
    assert objective(contest.space.fitted(known)) == score(known, "crx")
    past = next(task for task in contest.past_of(target).history().tasks if task.name != "iris")
    assert np.isfinite(past.losses).all()
    assert len(past.configs) == len(grid()) - 1


def test_one_source_is_read(long_folder: Path) -> None:
    """Of a long table with several sources the one with whole grids is taken."""
    assert scenario_names(long_folder) == ["runs/SVC"]
    extra = {"dataset": ["iris"], "algorithm": ["LR"], "parameters": ['{"C": 1}'],
             "bal_accuracy": [0.5], "source": ["short-formatted"]}  # fmt: skip
    table = pl.read_parquet(long_folder / "runs.parquet")
    pl.concat([table, pl.DataFrame(extra)]).write_parquet(long_folder / "runs.parquet")
    assert scenario_names(long_folder) == ["runs/SVC"]


def test_the_surrogate_is_asked_as_its_table_was(wide_folder: Path) -> None:
    """Order of inputs and fidelity are those that reproduce the table, or it is not used."""
    contest = Contest(Plan(wide_folder, wide_folder, "made"))
    assert contest.metric == "loss"
    assert contest.answered_by == "surrogate"
    assert isinstance(contest.surrogate, Surrogate)
    assert contest.surrogate.fidelity == {"epoch": 9.0}
    new: Config = {"rate": 0.05, "kind": "deep", "layers": 4}
    target = next(one for one in contest.targets if one.task == "12")
    assert contest.objective(target)(new) == pytest.approx(_made_loss(new, "12"), rel=1e-6)
    results = pl.read_parquet(wide_folder / "made_results.parquet")
    results.with_columns(pl.col("loss") * 1.1).write_parquet(wide_folder / "made_results.parquet")
    assert Contest(Plan(wide_folder, wide_folder, "made")).answered_by == "nearest"


def test_a_wide_folder_needs_no_surrogate(wide_folder: Path) -> None:
    """Without one, distributions and conditions are told from configs, and the nearest answers."""
    (wide_folder / "yahpo" / "made" / "model.onnx").unlink()
    contest = Contest(Plan(wide_folder, wide_folder, "made"))
    assert contest.answered_by == "nearest"
    assert isinstance(contest.space.distributions["layers"], IntDistribution)
    assert not contest.space.conditions["layers"].holds({"kind": "flat"})
    evaluations = read_evaluations(wide_folder, "made")
    target = contest.targets[0]
    row = evaluations.scores["loss"][evaluations.tasks.index(target.task)]
    objective = contest.objective(target)
    assert isinstance(objective, NearestObjective)
    assert [objective(config) for config in evaluations.configs] == row.tolist()


def test_metrics_know_their_direction() -> None:
    """A known score is taken first, seconds never, and what is a loss is told by its name."""
    assert default_metric(["time", "accuracy", "auc"]) == "auc"
    assert default_metric(["time", "accuracy", "f1"]) == "accuracy"
    assert is_loss("val_cross_entropy")
    assert not is_loss("bal_accuracy")
    with pytest.raises(OptionError, match="--metric"):
        default_metric(["time", "memory"])


def test_a_portfolio_by_hand() -> None:
    """The first config is best on the mean, the second helps most beside it; unknown is worst."""
    losses = np.array([[0.0, 0.4, 1.0, 0.9], [0.9, 0.4, 0.0, 1.0], [0.0, 0.4, np.nan, 1.0]])
    assert greedy_portfolio(losses, 3) == [0, 2, 1]


def test_expected_improvement_is_an_expectation() -> None:
    """It is the mean of what draws fall below the best by."""
    rng = np.random.default_rng(0)
    mean, variance = np.array([0.3, -0.2]), np.array([0.25, 1.0])
    draws = mean + np.sqrt(variance) * rng.standard_normal((400_000, 2))
    sampled = np.maximum(0.1 - draws, 0.0).mean(axis=0)
    assert expected_improvement(mean, variance, 0.1) == pytest.approx(sampled, abs=3e-3)


@pytest.mark.parametrize("process", ["feature_process", "empirical_process"])
def test_pool_opponents_try_all_once_and_the_best_early(long_folder: Path, process: str) -> None:
    """No config is tried twice, failures are survived, and ten trials find the best."""
    contest = Contest(Plan(long_folder, long_folder, "runs/SVC"))
    target = next(one for one in contest.targets if one.task == "crx")
    known = Knowledge(contest.past_of(target))
    study = optuna.create_study(
        direction="maximize", sampler=PoolSampler(known.past.configs, getattr(known, process))
    )
    objective = contest.objective(target)
    failing = contest.space.fitted({"C": 0.1, "kernel": "rbf"})
    tried: list[str] = []
    values: list[float | None] = []
    for _ in grid():
        trial = study.ask()
        contest.space.suggest(trial)
        tried.append(json.dumps(trial.params))
        values.append(None if trial.params == failing else objective(trial.params))
        state = TrialState.FAIL if values[-1] is None else TrialState.COMPLETE
        study.tell(trial, values[-1], state)
    assert len(set(tried)) == len(grid())
    assert values.count(None) == 1
    best = max(value for value in values if value is not None)
    assert best in values[:10]
    assert best == -target.best


def test_regret_by_hand() -> None:
    """The share of the table's range to the best that anyone found; all failed is 1."""
    targets = [Target("a", "a", best=0.0, worst=2.0, past=()), Target("b", "b", 0.0, 1.0, ())]
    runs = [
        Run("s", "m", "a", 0, (None, 1.0, 1.5), 1.0),
        Run("s", "m", "a", 1, (2.0, 0.0, 3.0), 1.0),
        Run("s", "m", "b", 0, (-1.0, 0.5, 0.5), 1.0),
        Run("s", "other", "a", 0, (2.0, 2.0, 2.0), 1.0),
        Run("s", "other", "b", 0, (0.0, 0.0, 0.0), 1.0),
    ]
    regrets = Regrets(targets, runs)
    assert regrets.at("m", 1).tolist() == [1.0, 0.0]
    assert regrets.at("m", 2).tolist() == [0.25, 0.0]
    assert regrets.at("other", 3).tolist() == [1.0, 1.0]
    assert regrets.ratio("m", "other", 3).value == pytest.approx(0.125)
    assert regrets.difference("m", "other", 3).value == pytest.approx(-0.875)
    assert regrets.mean("m", 2).value == 0.125
    assert regrets.share_better("m", "other", 1) == 0.75
    assert regrets.trials_to_reach("m", "other", 3) == 1


def test_every_task_and_repeat_has_its_own_seed() -> None:
    """Ten repeats of thirty tasks have three hundred seeds."""
    assert len({seed_of("s", f"t{task}", at) for task in range(30) for at in range(10)}) == 300


def units(folder: Path, methods: Sequence[str], n_repeats: int = 2) -> Iterator[Unit]:
    plan = Plan(folder, folder, "runs/SVC", most_tasks=2)
    for target in Contest(plan).targets:
        for method in methods:
            yield Unit(plan, method, target.task, tuple(range(n_repeats)), 6)


def test_kept_runs_are_not_done_again(long_folder: Path, tmp_path: Path) -> None:
    """A stopped benchmark goes on where it was, half a line included, and ends the same."""
    work = tmp_path / "work"
    whole = list(run_all(list(units(long_folder, ["random"])), work, 1))
    lines = (work / FILE).read_text().splitlines(keepends=True)
    (work / FILE).write_text("".join(lines[:2]) + lines[2][:40])
    again = list(run_all(list(units(long_folder, ["random"])), work, 1))
    assert [replace(run, ms=0.0) for run in whole] == [replace(run, ms=0.0) for run in again]
    assert [run.ms for run in whole[:2]] == [run.ms for run in again[:2]]
    n_kept = len((work / FILE).read_text().splitlines())
    list(run_all(list(units(long_folder, ["random"])), work, 1))
    assert len((work / FILE).read_text().splitlines()) == n_kept
    list(run_all(list(units(long_folder, ["random"])), work, 1, again=["random"]))
    assert len((work / FILE).read_text().splitlines()) == n_kept + 4


def test_a_portfolio_is_enqueued_first(long_folder: Path) -> None:
    """The method's first trials are the portfolio's configs, in order."""
    unit = next(units(long_folder, ["portfolio-10+tpe-group"], 1))
    contest = Contest(unit.plan)
    target = next(one for one in contest.targets if one.task == unit.task)
    known = Knowledge(contest.past_of(target))
    objective = contest.objective(target)
    expected = [objective(known.past.configs[at]) for at in known.portfolio[:6]]
    told = run_unit(unit)[0].losses
    assert [None if loss is None else -loss for loss in told] == expected


@pytest.mark.parametrize("harm", HARMS)
def test_spoilt_pasts(long_folder: Path, harm: str) -> None:
    """Each harm does what it says, and leaves the study's own space alone."""
    contest = Contest(Plan(long_folder, long_folder, "runs/SVC"))
    past = contest.past_of(contest.targets[0])
    spoilt = harmed(past, harm)
    known = np.isfinite(past.losses)
    if harm == "inverted":
        assert (spoilt.losses[known] == -past.losses[known]).all()
    elif harm == "none":
        assert spoilt.history().n_evaluations == 0
    elif harm == "random":
        assert abs(np.corrcoef(spoilt.losses[known], past.losses[known])[0, 1]) < 0.5
    elif harm == "renamed":
        assert not set(spoilt.space.distributions) & set(past.space.distributions)
    else:
        assert spoilt.space.distributions["C"] == past.space.distributions["degree"]
        assert spoilt.configs[0]["degree"] == past.configs[0]["C"]


def test_one_command_measures_all(long_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every method has figures, deterministic ones from one run; ours stands beside the best."""
    arguments = ["--history", str(long_folder), "--tasks", str(long_folder), "--seeds", "2",
                 "--trials", "5", "--tasks-limit", "2", "--quiet", "--json"]  # fmt: skip
    run_benchmark("search-prior", arguments)
    report = json.loads(capsys.readouterr().out)
    (scenario,) = report["scenarios"]
    assert scenario["answered_by"] == "grid"
    methods = scenario["methods"]
    assert methods["prior"]["n_runs"] == 4
    assert methods["empirical-gp"]["n_runs"] == 2
    assert set(scenario["prior_against_best"]) == {"1", "5"}
    assert methods["random"]["share_of_trials_failed"] == 0.0
    assert report["settings"]["seeds"] == 2
    assert report["versions"]["optuna"] == optuna.__version__


def test_cost_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds to learn, ms of ours and of TPE at each number of trials, and megabytes."""
    plan = CostPlan(n_tasks=4, n_evaluations=20, n_parameters=5, n_trials=(12, 30))
    report, text = measure_cost(plan)
    told = report["cost"]
    assert isinstance(told, dict)
    assert told["n_evaluations"] == 80
    assert told["build_s"] > 0.0
    assert [(one["sampler"], one["n_trials"]) for one in told["suggestions"]] == [
        ("prior", 12), ("tpe", 12), ("prior", 30), ("tpe", 30)]  # fmt: skip
    assert "median ms" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "magic"], "there is no method 'magic'"),
        (["--scenario", "XGB"], "no scenario 'XGB'"),
        (["--metric", "auc"], "no metric 'auc'"),
        (["--seeds", "0"], "--seeds 0 is too low"),
    ],
)
def test_options_are_checked(long_folder: Path, arguments: list[str], said: str) -> None:
    """What is wrong is said in one line, before anything is measured."""
    folders = ["--history", str(long_folder), "--tasks", str(long_folder)]
    with pytest.raises(OptionError, match=said):
        run_benchmark("search-prior", [*folders, *arguments])


def test_a_folder_without_scenarios_is_refused(tmp_path: Path) -> None:
    """An empty folder is told what it needs."""
    with pytest.raises(OptionError, match=r"_configs\.parquet"):
        scenario_names(tmp_path)


def linear_model(weights: np.ndarray) -> bytes:
    """An ONNX model: x_cat and x_cont side by side, times weights (D, M), written by hand.

    Field numbers are those of onnx.proto; what it needs of them is little.
    """
    floats, whole = 1, 6  # TensorProto.FLOAT, INT32
    to_float = _field(1, "to") + _field(3, floats) + _field(20, 2)
    axis = _field(1, "axis") + _field(3, 1) + _field(20, 2)
    nodes = [
        _node("Cast", ["x_cat"], "cat", to_float),
        _node("Concat", ["cat", "x_cont"], "x", axis),
        _node("MatMul", ["x", "w"], "output"),
    ]
    rows, columns = weights.shape
    tensor = _field(1, rows) + _field(1, columns) + _field(2, floats)
    tensor += _field(8, "w") + _field(9, weights.astype("<f4").tobytes())
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "g") + _field(5, tensor)
    graph += _field(11, _value("x_cat", whole, 2)) + _field(11, _value("x_cont", floats, rows - 2))
    graph += _field(12, _value("output", floats, columns))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))


def _node(kind: str, inputs: Sequence[str], output: str, attribute: bytes = b"") -> bytes:
    content = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
    return content + (_field(5, attribute) if attribute else b"")


def _value(name: str, kind: int, width: int) -> bytes:
    shape = _field(1, _field(2, "n")) + _field(1, _field(1, width))
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer: a whole number, or bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
