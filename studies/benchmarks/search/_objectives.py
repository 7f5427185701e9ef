"""The objective of one task: a metric of any config, whatever method asks for it.

By the surrogate that made the scenario's tables, where it is at hand; else by the nearest config
that was evaluated on the task: on a grid the same one, unless the task was not tried there.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autometa.spaces import Config
from autometa.studies.benchmarks.search._spaces import SearchSpace

Array = NDArray[np.float64]

_CHECKED = 200  # configs of a task, to tell whether the surrogate reproduces the table
_SAME = 1e-3  # of the spread of the table's values: they are float32, and settings were rounded


class Objective(Protocol):
    """The metric of a config on one task; None if it fails there."""

    def __call__(self, config: Config) -> float | None:
        """The metric in its own direction."""
        ...


class NearestObjective:
    """The metric of the nearest config that was evaluated on the task (Gower's distance)."""

    def __init__(self, space: SearchSpace, configs: Sequence[Config], scores: Array) -> None:
        known = np.flatnonzero(np.isfinite(scores)).tolist()
        self._space, self._scores = space, scores[known]
        self._places = space.places([configs[at] for at in known])

    def __call__(self, config: Config) -> float | None:
        """The score of the nearest."""
        return float(self._scores[int(self._space.distances(config, self._places).argmin())])


@dataclass(frozen=True, slots=True)
class _Inputs:
    """How a surrogate wants to be asked: its columns in order, the codes of choices, and fidelity.

    `fixed` are the task and the values of parameters that are not searched.
    """

    choices: tuple[str, ...]
    numbers: tuple[str, ...]
    codes: Mapping[str, Mapping[str, int]]
    fixed: Mapping[str, float]

    def encode(self, configs: Sequence[Config], task: str) -> dict[str, NDArray[Any]]:
        """What is inactive is code 0, or the number 0. The first choice is the task."""
        codes = [
            [self.codes[name].get(str(config.get(name, "")), 0) for name in self.choices[1:]]
            for config in configs
        ]
        of_task = self.codes[self.choices[0]][task]
        numbers = [
            [float({**config, **self.fixed}.get(name) or 0.0) for name in self.numbers]
            for config in configs
        ]
        return {
            "x_cat": np.array([[of_task, *row] for row in codes], dtype=np.int32),
            "x_cont": np.array(numbers, dtype=np.float32),
        }


class Surrogate:
    """The model behind a scenario's tables, asked as they were.

    Its outputs stand in the order of the tables' metrics; the task is its first choice. In which
    order it takes numbers, and at which fidelity the tables were made, is what tells their scores.
    """

    def __init__(self, folder: Path, parameters: Sequence[str], metrics: Sequence[str]) -> None:
        import onnxruntime  # noqa: PLC0415  an extra: without it the nearest config answers

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one row at a time: more only wait for each other
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._ways = list(_ways_to_ask(folder, parameters))
        self._inputs = self._ways[0]
        self._metrics = list(metrics)

    @property
    def fidelity(self) -> Mapping[str, float]:
        """The values of parameters that are not searched."""
        return self._inputs.fixed

    def values(self, configs: Sequence[Config], task: str, metric: str) -> Array:
        """The metric of the configs on a task."""
        outputs = self._session.run(None, self._inputs.encode(configs, task))[0]
        found: Array = np.asarray(outputs, dtype=float)[:, self._metrics.index(metric)]
        return found

    def reproduces(self, configs: Sequence[Config], scores: Array, task: str, metric: str) -> bool:
        """Whether it tells the task's known scores, asked in the way that does so best.

        That way is kept.
        """
        known = np.flatnonzero(np.isfinite(scores))[:_CHECKED]
        some = [configs[at] for at in known]
        found: list[tuple[float, _Inputs]] = []
        for way in self._ways:
            self._inputs = way
            differs = np.abs(self.values(some, task, metric) - scores[known]).max()
            found.append((float(np.nan_to_num(differs, nan=np.inf)), way))
        error, self._inputs = min(found, key=lambda pair: pair[0])
        return error < _SAME * float(scores[known].std())


def _ways_to_ask(folder: Path, parameters: Sequence[str]) -> Iterator[_Inputs]:
    """Orders of numbers (as `param_set.R` declares them, else as listed) times fidelities."""
    listed = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
    codes = json.loads((folder / "encoding.json").read_text())
    names = [one["name"] for one in listed if one["type"] == "categorical"]
    choices = tuple(sorted(names, key=lambda name: name in parameters))  # the task comes first
    numbers = {one["name"]: one for one in listed if one["type"] != "categorical"}
    fidelities = {
        name: (float(one["upper"]), float(one["default"]), float(one["lower"]))
        for name, one in numbers.items()
        if name not in parameters
    }
    declared = _declared(folder / "param_set.R", numbers)
    for order in (declared, tuple(numbers)):
        for values in itertools.product(*fidelities.values()):
            fixed = dict(zip(fidelities, values, strict=True))
            yield _Inputs(choices, order, codes, fixed)


def _declared(path: Path, names: Collection[str]) -> tuple[str, ...]:
    """The names in the order in which the file first declares them."""
    text = path.read_text() if path.exists() else ""
    places = {name: re.search(rf"(?m)^\s*{re.escape(name)}\s*=", text) for name in names}
    last = len(text)
    return tuple(
        sorted(names, key=lambda name: last if (at := places[name]) is None else at.start())
    )


class SurrogateObjective:
    """One metric of the surrogate on one task."""

    def __init__(self, surrogate: Surrogate, task: str, metric: str) -> None:
        self._surrogate, self._task, self._metric = surrogate, task, metric

    def __call__(self, config: Config) -> float | None:
        """The metric at the config itself."""
        return float(self._surrogate.values([config], self._task, self._metric)[0])
