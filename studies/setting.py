"""What a study works on: from a user's data and options to tables, splits, metric and spaces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from autometa.errors import OptionError, TableError
from autometa.learners import find_learner
from autometa.learners._base import TableShape
from autometa.metrics import Metric, baseline_prediction, find_metric
from autometa.priors.proposer.start import digest_of
from autometa.spaces import Space
from autometa.studies.options import TuneOptions
from autometa.studies.proposers import has_prior
from autometa.tables._base import Kind
from autometa.tables.description import describe
from autometa.tables.preparation import PreparedRows, fingerprint, prepare_like, prepare_table
from autometa.tables.reading import RawTable, read_table
from autometa.tables.splits import SplitPlan, holdout_rows, plan_splits
from autometa.tables.table import Table

# a change to what makes losses comparable (splits, folds' seeds) must raise it
_KEY_VERSION = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything a study needs to know before it starts. Equal keys mean comparable losses."""

    table: Table
    test: PreparedRows | None
    fingerprint: str
    description: Mapping[str, float]
    metric: Metric
    plan: SplitPlan
    spaces: Mapping[str, Space]
    key: str


def make_setting(data: object, options: TuneOptions) -> Setting:
    """Read and prepare the data, hold out what is asked, and plan the splits.

    Raises `TableError` or `OptionError` for whatever the user can mend.
    """
    if options.is_instant and not has_prior(options):
        raise OptionError(
            "an instant model is a prior's, and none comes with this version: give --prior-file, "
            "see autometa prior train"
        )
    return setting_of(read_table(data, options.reading), options, options.planned_s)


def setting_of(raw: RawTable, options: TuneOptions, planned_s: float | None) -> Setting:
    """The setting of cells that have been read; folds are as many as suit `planned_s` seconds.

    Raises `TableError` or `OptionError` for whatever the user can mend.
    """
    table = prepare_table(raw, options.table)
    metric = find_metric(options.metric, table.schema.target.kind)
    table, test = _hold_out(table, options)
    plan = plan_splits(table, seed=options.seed, budget_s=planned_s)
    mark = fingerprint(table)
    shape = _shape(table, has_prior=has_prior(options))
    spaces = {name: find_learner(name).space(shape) for name in options.learner_names}
    return Setting(
        table=table,
        test=test,
        fingerprint=mark,
        description=describe(table),
        metric=metric,
        plan=plan,
        spaces=spaces,
        key=_key(mark, metric, plan, spaces, options),
    )


@dataclass(frozen=True, slots=True)
class Baseline:
    """Losses of a dummy that knows only the target: out of fold, and on the test rows if any."""

    loss: float
    test_loss: float | None


def measure_baseline(setting: Setting) -> Baseline:
    """The dummy's losses; each scored row is predicted from its own split's training rows."""
    table, metric = setting.table, setting.metric
    rows = np.unique(np.concatenate([split.score for split in setting.plan.splits]))
    predicted = np.zeros((len(rows), table.schema.target.n_outputs))
    for split in setting.plan.splits:
        dummy = _dummy(setting, np.concatenate([split.fit, split.stop]), len(split.score))
        predicted[np.searchsorted(rows, split.score)] = dummy.reshape(len(split.score), -1)
    if not table.schema.target.kind.is_classification:
        predicted = predicted[:, 0]
    weights = None if table.weights is None else table.weights[rows]
    return Baseline(metric.loss(table.target[rows], predicted, weights), _test_loss(setting))


def _test_loss(setting: Setting) -> float | None:
    test = setting.test
    if test is None or test.target is None:
        return None
    dummy = _dummy(setting, np.arange(len(setting.table)), len(test.target))
    return setting.metric.loss(test.target, dummy, test.weights)


def _dummy(setting: Setting, rows: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    table = setting.table
    weights = None if table.weights is None else table.weights[rows]
    target = table.schema.target
    return baseline_prediction(table.target[rows], weights, target, setting.metric, n)


def _hold_out(table: Table, options: TuneOptions) -> tuple[Table, PreparedRows | None]:
    if options.test is not None:
        raw = read_table(options.test, options.reading)
        test = prepare_like(raw, table.schema, needs_target=True)
        if len(test.frame) == 0:
            raise TableError("the --test table has no rows with a target; give one that has")
        return table, test
    if options.holdout is None:
        return table, None
    rest, held = holdout_rows(table, options.holdout, seed=options.seed)
    part = table.take(held)
    return table.take(rest), PreparedRows(part.frame, part.target, part.weights, 0)


def _shape(table: Table, *, has_prior: bool) -> TableShape:
    kinds = [column.kind for column in table.schema.used]
    n_codes = sum(kind is Kind.CATEGORY for kind in kinds)
    sizes = len(table), len(kinds) - n_codes, n_codes
    return TableShape(*sizes, table.schema.target, has_prior)


def _key(
    mark: str,
    metric: Metric,
    plan: SplitPlan,
    spaces: Mapping[str, Space],
    options: TuneOptions,
) -> str:
    """What runs must share for one to go on where another ended."""
    parts = {
        "version": _KEY_VERSION,
        "table": mark,
        "metric": metric.name,
        "seed": options.seed,
        "plan": plan.name,
        "spaces": repr(sorted(spaces.items())),
        "columns": asdict(options.table),
    }
    if has_prior(options):
        parts["prior"] = digest_of(options.prior_file)
        parts["past"] = options.use_past
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
