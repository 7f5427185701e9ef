"""A stop strategy that has learned from past curves how losses go on.

From the description of the task and the shape of the first losses it forecasts, for multiples of
the steps done, which share of the loss's fall is still to come: the regret of stopping now. That
is the idea of extrapolating learning curves (Domhan et al., 2015; Adriaensen et al., 2023, LC-PFN)
asked only for the numbers that the decision needs. Where it cannot know it leaves the decision to
patience, and its reason says so.

Axes: M curves, D numbers of a description, K horizons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from autometa.bundles import Bundle, read_bundle, write_bundle
from autometa.errors import MetaLearningError, ModelError
from autometa.metalearning.stopping._base import Curve, Floats, Stopper
from autometa.metalearning.stopping.familiarity import Familiarity, learn_familiarity
from autometa.metalearning.stopping.forecasting import Forecast, Forecaster, fit_forecaster
from autometa.metalearning.stopping.gains import HORIZONS, examples_of
from autometa.metalearning.stopping.patience import Patience
from autometa.metalearning.stopping.prefixes import N_FEATURES, prefix_features

_MIN_TASKS = 20  # fewer leave one for each member of the ensemble to be judged by
# On synthetic curves of 20 to 50 tasks, with skills of 0.3 to 0.55, the forecasts took more steps
# than patience at equal regret.
_MIN_SKILL = 0.6
_NEAR = 0.05  # a way to the best step of a ninth more steps: as good as reached
_RECHECK = 1.02  # growth of the steps after which a forecast can have changed


@dataclass(frozen=True, slots=True)
class StopOptions:
    """When going on counts as worth it.

    By some horizon within the budget a gain must be forecast of at least `min_gain`, and `price`
    for a whole budget of steps, in shares of the loss's fall until then. `caution` deviations
    between the ensemble's members are added to the forecast first. `n_first` losses must be seen.
    """

    min_gain: float = 0.002
    price: float = 0.03
    caution: float = 0.5
    n_first: int = 5
    fallback: Patience = field(default_factory=lambda: Patience(20, growth=1.0))

    def __post_init__(self) -> None:
        """Refuse options that mean nothing."""
        if not 0 < self.min_gain < 1 or self.price < 0 or self.caution < 0 or self.n_first < 3:
            raise MetaLearningError(
                f"{self}: min_gain must lie between 0 and 1, price and caution be at least 0, "
                "n_first at least 3"
            )


@dataclass(frozen=True, slots=True)
class CurveKnowledge:
    """What was learned from past curves; `descriptions` is None where they had none."""

    forecaster: Forecaster
    prefixes: Familiarity
    descriptions: Familiarity | None


@dataclass(frozen=True, slots=True)
class LearnedStop:
    """Stops when what is still to come is not worth the steps, as past curves tell.

    Without `knowledge`, `ignorance` says why, and patience decides.
    """

    options: StopOptions = field(default_factory=StopOptions)
    knowledge: CurveKnowledge | None = None
    ignorance: str = "it has not been fitted"

    def fit(
        self,
        descriptions: ArrayLike | None,
        curves: Sequence[tuple[ArrayLike, ArrayLike]],
        seed: int,
    ) -> Self:
        """The same strategy, fitted on descriptions (M, D) and M curves of steps and losses.

        Curves may end early, for any reason but that they were about to improve; one with a loss
        that is not finite has diverged there. Curves of equal descriptions are of one task.
        Raises `MetaLearningError` for curves that are none, or not as many as descriptions.
        """
        known = [Curve.of(*curve) for curve in curves]
        described = _as_descriptions(descriptions, len(known))
        rng = np.random.default_rng(seed)
        examples = examples_of(known, self.options.n_first, rng)
        tasks = _tasks_of(described, len(known))[examples.curves]
        n_tasks = len(np.unique(tasks))
        if n_tasks < _MIN_TASKS:
            why = f"it was fitted on {n_tasks} tasks and needs {_MIN_TASKS}"
            return replace(self, knowledge=None, ignorance=why)
        inputs = examples.features
        if described is not None:
            inputs = np.concatenate([described[examples.curves], inputs], axis=1)
        forecaster = fit_forecaster(inputs, examples.targets, examples.is_known, tasks, seed)
        if forecaster.skill < _MIN_SKILL:
            why = f"it foretold only {forecaster.skill:.0%} of what came on tasks left out"
            return replace(self, knowledge=None, ignorance=why)
        near = None
        if described is not None:
            near = learn_familiarity(described, _tasks_of(described, len(known)), rng)
        prefixes = learn_familiarity(examples.features, tasks, rng)
        return replace(self, knowledge=CurveKnowledge(forecaster, prefixes, near), ignorance="")

    def start(self, description: Floats | None, n_steps: int) -> Stopper:
        """A stopper for the task of this description (D,), of as many numbers as fitted on."""
        return _LearnedStopper(self, description, n_steps)

    def save(self, folder: Path | str) -> None:
        """Write it into `folder`, which is made if need be: safetensors and JSON."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_bundle(Path(folder), Bundle(self.arrays(), self.facts()))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """What `save` wrote, executing nothing; raises `ModelError` if it cannot be read."""
        bundle = read_bundle(Path(folder))
        return cls.of(bundle.arrays, bundle.facts)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What was learned, as arrays by name; none before fitting."""
        if self.knowledge is None:
            return {}
        near = self.knowledge.descriptions
        return {
            **self.knowledge.forecaster.arrays(),
            **self.knowledge.prefixes.arrays("prefix_"),
            **(near.arrays("description_") if near else {}),
        }

    def facts(self) -> dict[str, object]:
        """The options and what `of` must know of the arrays, as JSON."""
        knows = self.knowledge
        return {
            "options": asdict(self.options),
            "ignorance": self.ignorance,
            "horizons": list(HORIZONS),
            "is_fitted": knows is not None,
            "has_descriptions": knows is not None and knows.descriptions is not None,
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """The strategy that gave these; raises `ModelError` if they are damaged."""
        bundle = Bundle(arrays, facts)
        options = _options_of(bundle.fact("options", dict))
        if not bundle.fact("is_fitted", bool):
            return cls(options, None, bundle.fact("ignorance", str))
        forecaster = Forecaster.of(bundle)
        prefixes = Familiarity.of(bundle, "prefix_")
        has_descriptions = bundle.fact("has_descriptions", bool)
        near = Familiarity.of(bundle, "description_") if has_descriptions else None
        n_inputs = len(prefixes.center) + (len(near.center) if near else 0)
        same_horizons = bundle.fact("horizons", list) == list(HORIZONS)
        if (
            len(forecaster.center) != n_inputs
            or len(prefixes.center) != N_FEATURES
            or not same_horizons
        ):
            raise ModelError("the stop strategy was saved by another version: fit it again")
        return cls(options, CurveKnowledge(forecaster, prefixes, near), "")


class _LearnedStopper(Stopper):
    def __init__(self, strategy: LearnedStop, description: Floats | None, n_steps: int) -> None:
        super().__init__(n_steps)
        self._options = strategy.options
        self._knowledge = strategy.knowledge
        self._ignorance = strategy.ignorance
        self._description = np.zeros(0)
        self._fallback = strategy.options.fallback.start(description, n_steps)
        self._next_check = 0.0
        self._verdict = ""
        self._why_not = ""
        self._expected = 0
        if strategy.knowledge is not None and strategy.knowledge.descriptions is not None:
            self._describe(description, strategy.knowledge.descriptions)

    @property
    def expected_best_step(self) -> int:
        """The forecast of the step with the lowest loss; the best so far where there is none."""
        return max(self._expected, self._best_step)

    def _describe(self, description: Floats | None, near: Familiarity) -> None:
        if description is None:
            self._ignorance = "the task has no description"
            return
        if description.shape != near.center.shape:
            raise MetaLearningError(
                f"the description has shape {description.shape} but the stop strategy was fitted "
                f"on {near.center.shape}: describe the task as those it was fitted on"
            )
        self._description = description
        if not near.is_familiar(description):
            self._ignorance = "the task is unlike those it was fitted on"

    def _reason_to_stop(self) -> str:
        is_out_of_patience = self._fallback.should_stop(self._steps[-1], self._losses[-1])
        if self._steps[-1] >= self._next_check:
            self._check()
        if not self._why_not:
            return self._verdict
        return f"{self._fallback.reason} ({self._why_not})" if is_out_of_patience else ""

    def _check(self) -> None:
        """Forecast anew, or say why that is not possible."""
        self._verdict, self._expected = "", 0
        self._why_not = self._ignorance
        if self._knowledge is None or self._ignorance:
            self._next_check = np.inf
            return
        if len(self._losses) < self._options.n_first or min(self._losses) == max(self._losses):
            self._why_not = f"too few losses to tell: {len(self._losses)}"
            return
        steps, losses = np.array(self._steps), np.array(self._losses)
        is_sound = np.isfinite(losses)
        features = prefix_features(steps[is_sound], losses[is_sound])
        self._next_check = _RECHECK * self._steps[-1]
        if not self._knowledge.prefixes.is_familiar(features):
            self._why_not = "the losses go unlike those it was fitted on"
            return
        inputs = np.concatenate([self._description, features])
        self._decide(self._knowledge.forecaster.forecast(inputs))

    def _decide(self, forecast: Forecast) -> None:
        """Weigh what is still to come against the steps that it takes."""
        step = self._steps[-1]
        way = float(forecast.ways.mean())
        if way > _NEAR:
            self._expected = min(round(step * HORIZONS[-1] ** way), self._n_steps)
        shares = forecast.shares
        likely = shares.mean(axis=0) + self._options.caution * shares.std(axis=0)
        logs = np.log(step * np.array([1.0, *HORIZONS]))
        ends = np.minimum(np.exp(logs), self._n_steps)
        likely = np.interp(np.log(ends), logs, np.array([0.0, *likely]))
        worth = likely - self._options.price * (ends - step) / self._n_steps
        if worth.max() < self._options.min_gain:
            gain = f"{likely[-1]:.2g} of the fall"
            self._verdict = f"learned: only {gain} is expected until step {round(ends[-1])}"


def _as_descriptions(descriptions: ArrayLike | None, n_curves: int) -> Floats | None:
    if descriptions is None:
        return None
    described = np.asarray(descriptions, np.float64)
    if described.ndim != 2 or len(described) != n_curves:
        raise MetaLearningError(
            f"descriptions {described.shape} for {n_curves} curves: give one row per curve"
        )
    return described


def _tasks_of(descriptions: Floats | None, n_curves: int) -> NDArray[np.int64]:
    """(M,) which task each curve is of: without descriptions each is of its own."""
    if descriptions is None:
        return np.arange(n_curves)
    # a missing number is equal to a missing number
    rows = np.nan_to_num(descriptions, nan=np.inf)
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _options_of(saved: Mapping[str, Any]) -> StopOptions:
    try:
        options: dict[str, Any] = {**saved, "fallback": Patience(**saved["fallback"])}
        return StopOptions(**options)
    except (KeyError, TypeError, MetaLearningError) as error:
        raise ModelError(f"the stop strategy's options are damaged: {error}") from error
