"""The contracts of search: who samples configs, prunes a running trial and stops a study.

A study has one sampler, made by its `SamplerMaker` when it starts.
Before each trial the driver asks the `Pruner` for a `PruningPolicy`, a small picklable snapshot
that travels to the worker with the trial; the worker asks it after each fold and each point of the
learning curve, so that no talk crosses processes. After each trial the driver asks the `Stopper`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from autometa.records import CurvePoint, TrialRecord
from autometa.spaces import Space

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class SamplerMaker(Protocol):
    """Makes the sampler of a study of a table."""

    def make(
        self,
        seed: int,
        spaces: Mapping[str, Space],
        description: Mapping[str, float],
        share_left: Callable[[], float],
    ) -> BaseSampler:
        """For these learners' spaces and the table's description; the seed decides the rest.

        `share_left` says how much of the study's budget is left, from 1 to 0.
        """
        ...


class PruningPolicy(Protocol):
    """Decides in a worker whether a running trial is hopeless. Picklable and deterministic.

    `kind` is what it is compared with: `records.kind_of`.
    """

    def is_hopeless_after_fold(self, kind: str, fold_losses: Sequence[float]) -> bool:
        """Whether to prune, given the losses of the folds finished so far."""
        ...

    def is_hopeless_in_fold(self, kind: str, curve: Sequence[CurvePoint]) -> bool:
        """Whether to prune, given the learning curve of the fold being trained."""
        ...


class Pruner(Protocol):
    """Makes pruning policies from a study's trials."""

    def policy(self, trials: Sequence[TrialRecord]) -> PruningPolicy:
        """A snapshot for the next trial."""
        ...


class Stopper(Protocol):
    """Ends a study before its budget does."""

    def reason_to_stop(self, trials: Sequence[TrialRecord]) -> str | None:
        """Why to stop now, in words for the user; None to go on."""
        ...
