"""One fit of a network: inputs, module, start and training put together.

Axes: N rows, K outputs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.errors import LearnerError
from autometa.learners._base import FitContext, TableShape
from autometa.learners.network.initial import MAX_ROWS, initialise
from autometa.learners.network.inputs import InputBatch, Inputs
from autometa.learners.network.model import NetworkModel, Reading
from autometa.learners.network.module import Architecture, NetworkModule
from autometa.learners.network.scoring import StopRows, TargetScale
from autometa.learners.network.settings import NetworkSettings, network_space
from autometa.learners.network.training import Plan, Training, TrainRows
from autometa.learners.objectives import weighed_for
from autometa.metrics import Objective
from autometa.priors._base import NetworkStart, StartRequest
from autometa.spaces import Config
from autometa.tables._base import Sample, Target

_MAX_STOP_ROWS = 20_000  # a log loss of deviation 1 is then known to 0.007


def fit_network(
    config: Config, train: Sample, stop: Sample | None, context: FitContext
) -> NetworkModel:
    """Train on `train`; keep the epoch that is best on `stop`.

    Runs on the CPU with as many threads as torch has: the worker process sets them. Raises
    `LearnerError` if the loss diverges at once, `OptionError` as `weighed_for` does.
    """
    objective, train, stop = weighed_for(context, train, stop)
    train, stop = _telling_rows(train, stop, context.target)
    shape = _shape_of(train, context.target)
    whole = network_space(shape).complete(config)
    settings = NetworkSettings.from_config(whole)
    inputs = Inputs.fit(train.features)
    rows, scale = _train_rows(inputs, train, context.target, objective)
    seed, generator = _seeded(context.seed)
    module = NetworkModule(_architecture(inputs, settings, context.target))
    initialise(module, _first_rows(rows.inputs), generator)
    start = _start(module, train, whole, context)
    scorer = None if stop is None or len(stop) == 0 else _stop_rows(inputs, stop, scale, seed)
    plan = _plan(settings, start, seed)
    n_steps = Training(module, rows, scorer, plan).run(context.monitor)
    sharpness = 1.0 if scorer is None else scorer.sharpness(module)
    module.requires_grad_(requires_grad=False)
    return NetworkModel(inputs, module, Reading(sharpness, scale), n_steps)


def _telling_rows(
    train: Sample, stop: Sample | None, target: Target
) -> tuple[Sample, Sample | None]:
    """Rows that weigh something, and of the stop rows those of classes that training can learn.

    A class that only stop rows have would make the untrained network look best.
    """
    train = _weighing(train)
    if stop is None:
        return train, None
    stop = _weighing(stop)
    if not target.kind.is_classification:
        return train, stop
    return train, stop.take(np.flatnonzero(np.isin(stop.target, np.unique(train.target))))


def _weighing(rows: Sample) -> Sample:
    if rows.weights is None or not rows.weights.any():
        return rows
    return rows.take(np.flatnonzero(rows.weights > 0))


def _shape_of(train: Sample, target: Target) -> TableShape:
    features = train.features
    return TableShape(len(train), len(features.number_names), len(features.code_names), target)


def _architecture(inputs: Inputs, settings: NetworkSettings, target: Target) -> Architecture:
    n_one_hot = len(inputs.one_hot_columns)
    rows = inputs.n_rows_by_column
    n_numbers = len(inputs.number_columns)
    return Architecture(
        n_numbers=n_numbers,
        n_flags=inputs.n_flags,
        one_hot=rows[:n_one_hot],
        embedded=rows[n_one_hot:],
        n_outputs=target.n_outputs,
        width=settings.width,
        depth=settings.depth,
        activation=settings.activation,
        is_periodic=settings.embedding == "periodic" and n_numbers > 0,
        n_members=settings.members,
    )


def _train_rows(
    inputs: Inputs, train: Sample, target: Target, objective: Objective
) -> tuple[TrainRows, TargetScale | None]:
    """Training rows as the loop takes them, and the scale of a regression target."""
    if len(train) == 0:
        raise LearnerError("the network has no rows to train on; give it at least one")
    weights = None
    if train.weights is not None:
        scaled = train.weights / max(float(train.weights.mean()), 1e-300)
        weights = torch.from_numpy(scaled.astype(np.float32))
    batch = inputs.transform(train.features)
    values = torch.from_numpy(np.ascontiguousarray(train.target))
    if target.kind.is_classification:
        return TrainRows(batch, values.long(), weights), None
    scale = TargetScale.fit(values.double(), objective)
    return TrainRows(batch, scale.to_standard(values.double()).float(), weights, objective), scale


def _stop_rows(inputs: Inputs, stop: Sample, scale: TargetScale | None, seed: int) -> StopRows:
    """The stop rows, or a random part of them if they are very many."""
    if len(stop) > _MAX_STOP_ROWS:
        rng = np.random.default_rng(seed)
        stop = stop.take(rng.choice(len(stop), _MAX_STOP_ROWS, replace=False))
    weights: NDArray[np.float64] = np.ones(len(stop)) if stop.weights is None else stop.weights
    total = float(weights.sum())
    shares = weights / total if total > 0.0 else np.full(len(stop), 1.0 / len(stop))
    target = torch.from_numpy(np.ascontiguousarray(stop.target))
    target = target.long() if scale is None else target.double()
    return StopRows(inputs.transform(stop.features), target, torch.from_numpy(shares), scale)


def _seeded(seed: int) -> tuple[int, torch.Generator]:
    """Independent seeds for the loop and for the first weights."""
    loop, weights = np.random.SeedSequence(seed).generate_state(2)
    return int(loop), torch.Generator().manual_seed(int(weights))


def _first_rows(batch: InputBatch) -> InputBatch:
    """Rows for the initialisation, evenly spread over the table."""
    every = -(-len(batch) // MAX_ROWS)
    return batch.take(torch.arange(0, len(batch), every))


def _start(
    module: NetworkModule, train: Sample, config: Config, context: FitContext
) -> NetworkStart:
    """Ask the prior for a start and put its weights into the module."""
    if context.start is None:
        return NetworkStart()
    tensors = dict(module.named_parameters())
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    start = context.start.propose_start(
        StartRequest(train, context.target, config, shapes, context.seed)
    )
    if unknown := sorted({*start.weights, *start.rate_factors} - set(shapes)):
        raise LearnerError(
            f"the start from {start.origin!r} names tensors {unknown}, the network has "
            f"{sorted(shapes)}; use a prior made for this version, or --no-prior"
        )
    for name, factor in start.rate_factors.items():
        if not (math.isfinite(factor) and factor >= 0.0):
            raise LearnerError(
                f"the start from {start.origin!r} gives tensor {name!r} the rate factor {factor}; "
                "it must be finite and not negative; use --no-prior"
            )
    for name, values in start.weights.items():
        _replace(tensors[name], name, values, start.origin)
    return start


def _replace(tensor: Tensor, name: str, values: NDArray[np.float32], origin: str) -> None:
    if values.shape != tuple(tensor.shape) or not np.isfinite(values).all():
        raise LearnerError(
            f"the start from {origin!r} gives tensor {name!r} shape {values.shape} or values that "
            f"are not finite; the network needs finite {tuple(tensor.shape)}; use --no-prior"
        )
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))


def _plan(settings: NetworkSettings, start: NetworkStart, seed: int) -> Plan:
    n_epochs = settings.epochs if start.n_steps is None else start.n_steps
    decay = settings.weight_decay if start.weight_decay is None else start.weight_decay
    return Plan(
        n_epochs=n_epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        weight_decay=decay,
        dropout=settings.dropout,
        label_smoothing=settings.label_smoothing,
        seed=seed,
        rate_factors=start.rate_factors,
        is_start_scored=bool(start.weights),
    )
