"""One fit of a network: inputs, module, start and training put together.

Axes: N rows, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autometa.errors import LearnerError
from autometa.learners._base import FitContext, TableShape
from autometa.learners.network._base import RowInputs, TableNetwork
from autometa.learners.network.initial import MAX_ROWS, initialise
from autometa.learners.network.inputs import InputBatch, Inputs
from autometa.learners.network.model import NetworkModel, Reading
from autometa.learners.network.module import Architecture, NetworkModule
from autometa.learners.network.proposed import CellInputs, proposed_rates, start_of
from autometa.learners.network.rates import Rate, standard_rates
from autometa.learners.network.schedule import Falling
from autometa.learners.network.scoring import StopRows, TargetScale
from autometa.learners.network.settings import NetworkSettings, ProposedSettings, network_space
from autometa.learners.network.training import Plan, Training, TrainRows
from autometa.learners.objectives import weighed_for
from autometa.metrics import Objective
from autometa.priors._base import NetworkStart, StartRequest
from autometa.spaces import Config
from autometa.tables._base import Features, Sample, Target

if TYPE_CHECKING:  # it loads all that makes proposals, which only a prior needs
    from autometa.priors.proposer.proposing import NetworkProposal

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
    if len(train) == 0:
        raise LearnerError("the network has no rows to train on; give it at least one")
    whole = network_space(_shape_of(train, config, context)).complete(config)
    goal = _goal(train, context.target, objective)
    seed, generator = _seeded(context.seed)
    begin = _begin_standard if whole.get("start", "standard") == "standard" else _begin_proposed
    beginning = begin(whole, train, goal, context, generator)
    module, plan = beginning.module, beginning.plan(seed)
    rows = TrainRows(beginning.batch, goal.values, goal.weights, objective)
    has_stop = stop is not None and len(stop) > 0
    scorer = _stop_rows(beginning.inputs, stop, goal.scale, seed) if stop and has_stop else None
    n_steps = Training(module, rows, scorer, plan).run(context.monitor)
    sharpness = 1.0 if scorer is None else scorer.sharpness(module)
    module.requires_grad_(requires_grad=False)
    return NetworkModel(beginning.inputs, module, Reading(sharpness, goal.scale), n_steps)


@dataclass(frozen=True, slots=True, eq=False)
class _Goal:
    """What to predict of the training rows, as the loss takes it; weights of mean one, or None."""

    values: Tensor
    weights: Tensor | None
    scale: TargetScale | None


@dataclass(frozen=True, slots=True, eq=False)
class _Beginning:
    """Where the inner loop begins: inputs, those of the training rows, a network, and a plan."""

    inputs: RowInputs
    batch: InputBatch
    module: TableNetwork
    plan: Callable[[int], Plan]


def _begin_standard(
    config: Config, train: Sample, goal: _Goal, context: FitContext, generator: torch.Generator
) -> _Beginning:
    """The learner's own network, where a prior proposes nothing else."""
    del goal
    settings = NetworkSettings.from_config(config)
    inputs, batch, module = standard_network(train.features, context.target, settings, generator)
    start = _start(module, train, config, context)
    plan = partial(_standard_plan, settings, start, standard_rates(module, start.rate_factors))
    return _Beginning(inputs, batch, module, plan)


def _begin_proposed(
    config: Config, train: Sample, goal: _Goal, context: FitContext, generator: torch.Generator
) -> _Beginning:
    """The network that a prior proposes for these rows."""
    settings = ProposedSettings.from_config(config)
    values = goal.values if goal.scale is None else goal.scale.to_scores(goal.values)
    shown = replace(train, target=values.numpy())
    request = StartRequest(shown, context.target, config, {}, context.seed)
    start = NetworkStart() if context.start is None else context.start.propose_start(request)
    if start.network is None:
        raise LearnerError(
            f"the start {config['start']!r} needs a prior that proposes networks, and "
            f"{start.origin!r} proposes none: use start=standard, or leave --no-prior out"
        )
    inputs = CellInputs(start.network.encoder)
    module = start_of(start.network, settings, generator)
    plan = partial(_proposed_plan, settings, start.network, len(train))
    batch = inputs.of_training(train.features, start.network)
    return _Beginning(inputs, batch, module, plan)


def standard_network(
    features: Features, target: Target, settings: NetworkSettings, generator: torch.Generator
) -> tuple[Inputs, InputBatch, NetworkModule]:
    """The learner's own network for training rows, at its own start, and these rows' inputs."""
    inputs = Inputs.fit(features)
    batch = inputs.transform(features)
    module = NetworkModule(_architecture(inputs, settings, target))
    initialise(module, _first_rows(batch), generator)
    return inputs, batch, module


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


def _shape_of(train: Sample, config: Config, context: FitContext) -> TableShape:
    features = train.features
    sizes = len(train), len(features.number_names), len(features.code_names)
    return TableShape(*sizes, context.target, has_prior="start" in config)


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


def _goal(train: Sample, target: Target, objective: Objective) -> _Goal:
    weights = None
    if train.weights is not None:
        scaled = train.weights / max(float(train.weights.mean()), 1e-300)
        weights = torch.from_numpy(scaled.astype(np.float32))
    values = torch.from_numpy(np.ascontiguousarray(train.target))
    if target.kind.is_classification:
        return _Goal(values.long(), weights, None)
    scale = TargetScale.fit(values.double(), objective)
    return _Goal(scale.to_standard(values.double()).float(), weights, scale)


def _stop_rows(inputs: RowInputs, stop: Sample, scale: TargetScale | None, seed: int) -> StopRows:
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


def _standard_plan(
    settings: NetworkSettings, start: NetworkStart, rates: Mapping[str, Rate], seed: int
) -> Plan:
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
        rates=rates,
        is_start_scored=bool(start.weights),
    )


def _proposed_plan(
    settings: ProposedSettings, proposal: NetworkProposal, n_rows: int, seed: int
) -> Plan:
    n_batches = max(1, n_rows // min(settings.batch_size, n_rows))
    return Plan(
        n_epochs=math.ceil(settings.length * proposal.n_steps / n_batches),
        batch_size=settings.batch_size,
        lr=settings.rate,
        weight_decay=proposal.decay * settings.decay,
        dropout=settings.prior_dropout,
        label_smoothing=settings.label_smoothing,
        seed=seed,
        rates=proposed_rates(proposal, settings),
        schedule=Falling(proposal.power),
        is_start_scored=True,
        is_fading=False,
    )
