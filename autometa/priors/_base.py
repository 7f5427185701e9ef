"""The seams where priors plug in: what may be proposed for a new table before it is searched.

Each seam has a "prior off" implementation: `autometa.priors.off`. A prior is asked once per study
for first configs, and once per fit of a network for its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from autometa.spaces import Config, Space
from autometa.tables._base import Sample, Target

if TYPE_CHECKING:  # it loads torch, which no study needs before its first fit
    from autometa.priors.proposer.proposing import NetworkProposal


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A network about to be trained: its rows, and the shape of each of its tensors by name.

    A network that the prior is to propose has no tensors yet; the values to predict are then
    standardised.
    """

    train: Sample
    target: Target
    config: Config
    tensors: Mapping[str, tuple[int, ...]]
    seed: int


@dataclass(frozen=True, slots=True)
class NetworkStart:
    """Where the inner loop starts.

    `network` takes the place of the learner's own, where the config asks for it; it has rates and
    a schedule of its own, and the rest is not looked at. Else `weights` replaces the initial value
    of the named tensors; `rate_factors` multiplies the learning rate of the named tensors; tensors
    not named keep the learner's own. `n_steps` is a suggested end of training in epochs.
    """

    network: NetworkProposal | None = None

    weights: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    weight_decay: float | None = None
    n_steps: int | None = None
    origin: str = "standard"


class StartProposer(Protocol):
    """Proposes initial weights and learning rates for one network on one table. Picklable."""

    def propose_start(self, request: StartRequest) -> NetworkStart:
        """The start of this network."""
        ...


@dataclass(frozen=True, slots=True)
class ConfigsRequest:
    """A study about to start: the table's description and the learners' spaces by name."""

    description: Mapping[str, float]
    target: Target
    spaces: Mapping[str, Space]


@dataclass(frozen=True, slots=True)
class ProposedConfig:
    """A config to try before the search, where it came from and, if it is known, why.

    `why` is an explanation as `search.explanations` keeps it. One in reserve is tried when it is
    its learner's turn.
    """

    learner: str
    config: Config
    origin: str
    why: Mapping[str, object] = field(default_factory=dict[str, object])
    is_reserve: bool = False


class ConfigsProposer(Protocol):
    """Proposes the first configs of a study, best first."""

    def propose_configs(self, request: ConfigsRequest) -> Sequence[ProposedConfig]:
        """The configs to try first, in this order."""
        ...
