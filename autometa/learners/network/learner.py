"""The network learner. Importing it loads no torch: a study needs the space before any fit."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import ClassVar, cast

from autometa.learners._base import FitContext, Learner, Model, TableShape
from autometa.learners.network.settings import network_space, relative_cost
from autometa.spaces import Config, Space
from autometa.tables._base import Sample


class NetworkLearner(Learner):
    """A multilayer perceptron for tables (RealMLP, with optional members as in TabM)."""

    name: ClassVar[str] = "network"

    def space(self, shape: TableShape) -> Space:
        """The settings, with defaults by rows, numbers and kind of target."""
        return network_space(shape)

    def relative_cost(self, config: Config) -> float:
        """By epochs, width, depth and members."""
        return relative_cost(config)

    def fit(
        self, config: Config, train: Sample, stop: Sample | None, context: FitContext
    ) -> Model:
        """Train on `train`; keep the epoch that is best on `stop`. See `fitting.fit_network`."""
        fitting = import_module("autometa.learners.network.fitting")
        return cast(Model, fitting.fit_network(config, train, stop, context))

    def load(self, folder: Path) -> Model:
        """Read what `NetworkModel.save` wrote."""
        return cast(Model, import_module("autometa.learners.network.model").load_network(folder))
