"""Responses as one plain file: arrays in safetensors, the rest as JSON in its header.

Loading executes nothing. Arrays are float32: a relative error of 6e-8, of scores that are known to
a tenth at best.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import distribution_to_json, json_to_distribution
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from autometa.errors import HistoryError
from autometa.search.responses._base import KNOTS, Array, Responses, TaskFacts
from autometa.search.responses.axes import Axes
from autometa.search.responses.kernel import Kernel

_MARK = "autometa_responses"
_VERSION = 1
_ARRAYS = ("anchors", "means", "spread", "regrets", "scales")


def write_responses(responses: Responses, path: Path) -> None:
    """Write the file; equal responses give equal bytes. Raises `HistoryError` if it cannot."""
    arrays: dict[str, Array] = {
        "anchors": responses.anchors,
        "means": responses.means,
        "spread": responses.spread,
        "regrets": responses.regrets,
        "scales": responses.kernel.scales,
    }
    if responses.log_costs is not None:
        arrays["log_costs"] = responses.log_costs
    facts = {
        "version": _VERSION,
        "signal": responses.kernel.signal,
        "noise": responses.kernel.noise,
        "distributions": {
            name: distribution_to_json(one) for name, one in responses.axes.distributions.items()
        },
        "pool": [dict(config) for config in responses.pool],
        "tasks": [asdict(task) for task in responses.tasks],
    }
    content = save(
        {name: np.ascontiguousarray(one, dtype=np.float32) for name, one in arrays.items()},
        {_MARK: json.dumps(facts)},  # the order of settings is the order of columns
    )
    try:
        path.write_bytes(content)
    except OSError as error:
        raise HistoryError(f"the responses cannot be written to {path}: {error}") from error


def read_responses(path: Path) -> Responses:
    """What `write_responses` wrote. Raises `HistoryError` if it is absent, foreign or damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = _facts((file.metadata() or {}).get(_MARK), path)
            arrays = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118  it is no mapping
    except (OSError, SafetensorError) as error:
        raise HistoryError(f"there are no responses to read at {path}: {error}") from error
    try:
        return _build(facts, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise HistoryError(f"the responses at {path} are damaged: learn them again") from error


def _facts(text: str | None, path: Path) -> Mapping[str, Any]:
    if text is None:
        raise HistoryError(f"{path} holds no responses: learn them from a history")
    try:
        facts: Mapping[str, Any] = json.loads(text)
        version = facts["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise HistoryError(f"the responses at {path} are damaged: learn them again") from error
    if version != _VERSION:
        raise HistoryError(
            f"the responses at {path} are of version {version} and this program reads {_VERSION}: "
            "learn them again"
        )
    return facts


def _build(facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> Responses:
    anchors, means, spread, regrets, scales = (arrays[name] for name in _ARRAYS)
    axes = Axes(
        {name: json_to_distribution(text) for name, text in facts["distributions"].items()}
    )
    tasks = tuple(TaskFacts(**one) for one in facts["tasks"])
    n_tasks, (n_anchors, n_columns) = len(tasks), anchors.shape
    wanted = {
        "means": (means.shape, (n_tasks, n_anchors)),
        "spread": (spread.shape, (n_anchors, n_anchors)),
        "regrets": (regrets.shape, (n_tasks, len(KNOTS))),
        "scales": (scales.shape, (n_columns,)),
        "columns": (len(axes.columns), n_columns),
    }
    wrong = [name for name, (found, needed) in wanted.items() if found != needed]
    if wrong or not all(np.isfinite(one).all() for one in arrays.values()):
        raise ValueError(f"arrays do not fit together: {wrong}")
    return Responses(
        axes=axes,
        kernel=Kernel(scales, float(facts["signal"]), float(facts["noise"])),
        anchors=anchors,
        means=means,
        spread=spread,
        regrets=regrets,
        pool=tuple(facts["pool"]),
        tasks=tasks,
        log_costs=arrays.get("log_costs"),
    )
