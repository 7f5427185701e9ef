"""Where an inner loop may start, and the loop that is the same for all.

Axes: N rows, M members, K outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from autometa.learners._base import FitContext, SilentMonitor, TableShape
from autometa.learners.network._base import TableNetwork, outputs_of
from autometa.learners.network.fitting import standard_network
from autometa.learners.network.inputs import InputBatch
from autometa.learners.network.learner import NetworkLearner
from autometa.learners.network.proposed import CellInputs, ProposedModule
from autometa.learners.network.rates import Rate, standard_rates
from autometa.learners.network.schedule import Cycles, Falling, Schedule
from autometa.learners.network.scoring import log_probabilities
from autometa.learners.network.settings import NetworkSettings, network_space
from autometa.learners.network.training import Plan, Training, TrainRows
from autometa.priors.proposer.proposer import Proposer
from autometa.priors.proposer.proposing import ProposalOptions, propose_network
from autometa.priors.proposer.start import PriorStart
from autometa.spaces import Config
from autometa.studies.benchmarks.priors._rows import DrawnRows

BATCH_SIZE = 256
_STOP_SHARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """A network, its rows, and how its inner loop goes."""

    module: TableNetwork
    train: InputBatch
    test: InputBatch
    rates: Mapping[str, Rate]
    lr: float
    decay: float
    schedule: Schedule

    def with_one_rate(self, rate: float) -> Start:
        """The same with one learning rate for all tensors."""
        decays = {name: rate if one.decay > 0 else 0.0 for name, one in self.rates.items()}
        return replace(self, rates={name: Rate(rate, decay) for name, decay in decays.items()})


def proposed_start(proposer: Proposer, drawn: DrawnRows, members: int, seed: int) -> Start:
    """What a proposer, trained or not, gives for these rows."""
    options = ProposalOptions(members=members, seed=seed)
    proposal = propose_network(proposer, drawn.train, drawn.n_classes, options)
    inputs = CellInputs(proposal.encoder)
    rates = {
        f"network.{name}": Rate(rate, 0.0 if name.endswith("bias") else rate)
        for name, rate in proposal.rates.items()
    }
    return Start(
        ProposedModule(proposal.module),
        inputs.of_training(drawn.train.features, proposal),
        inputs.transform(drawn.test.features),
        rates,
        1.0,
        proposal.decay,
        Falling(proposal.power),
    )


def standard_start(drawn: DrawnRows, members: int, seed: int) -> Start:
    """The learner's own start, rates and schedule (RealMLP-TD's)."""
    train = drawn.train.features
    shape = TableShape(len(train), train.numbers.shape[1], train.codes.shape[1], drawn.target)
    config = network_space(shape).complete({"members": members})
    settings = NetworkSettings.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    inputs, batch, module = standard_network(train, drawn.target, settings, generator)
    rates, decay = standard_rates(module, {}), settings.weight_decay
    test = inputs.transform(drawn.test.features)
    return Start(module, batch, test, rates, settings.lr, decay, Cycles())


def run_steps(start: Start, drawn: DrawnRows, n_steps: int, seed: int) -> float:
    """The loss on test rows after at most so many steps, without a word of other rows.

    A loop that diverges has an infinite loss. The start is changed.
    """
    n_batches = max(1, len(start.train) // BATCH_SIZE)
    n_epochs = n_steps // n_batches
    if n_epochs:
        plan = Plan(
            n_epochs=n_epochs,
            batch_size=BATCH_SIZE,
            lr=start.lr,
            weight_decay=start.decay,
            dropout=0.0,
            label_smoothing=0.0,
            seed=seed,
            rates=start.rates,
            schedule=start.schedule,
            is_fading=isinstance(start.schedule, Cycles),
        )
        target = torch.from_numpy(np.ascontiguousarray(drawn.train.target))
        target = target.long() if drawn.n_classes else target.float()
        loop = Training(start.module, TrainRows(start.train, target, None), None, plan)
        loop.run(SilentMonitor())
    return loss_on_test(start.module, start.test, drawn)


def loss_on_test(module: TableNetwork, test: InputBatch, drawn: DrawnRows) -> float:
    """Log loss, or RMSE in deviations of the training rows, of members' mean prediction."""
    outputs = torch.cat(list(outputs_of(module, test)), dim=-2)
    if not bool(torch.isfinite(outputs).all()):
        return float("inf")
    if drawn.n_classes:
        return loss_of(log_probabilities(outputs).exp().numpy(), drawn)
    values = outputs.double().squeeze(-1)
    return loss_of((values.mean(0) if values.dim() == 2 else values).numpy(), drawn)


def loss_of(predicted: NDArray[np.float64], drawn: DrawnRows) -> float:
    """Log loss of probabilities (N, K), or RMSE of values (N,)."""
    target = drawn.test.target
    if not drawn.n_classes:
        return float(np.sqrt(np.mean(np.square(predicted - target))))
    own = predicted[np.arange(len(target)), target.astype(np.int64)]
    return float(-np.log(np.clip(own, 1e-7, 1.0)).mean())


def fit_learner(drawn: DrawnRows, config: Config, start: PriorStart | None, seed: int) -> float:
    """The test loss of the network learner, whose epoch is chosen by a fifth of the rows."""
    train, stop = drawn.without_last(round(_STOP_SHARE * len(drawn.train)))
    context = FitContext(drawn.target, seed=seed, start=start)
    model = NetworkLearner().fit(config, train, stop, context)
    return loss_of(model.predict(drawn.test.features), drawn)
