"""How configs' seconds compare, as past tables took them.

Left after it of the logarithm of seconds, beside what a learner's own formula leaves, in standard
deviations over 59 tables: CatBoost .46 and .79, LightGBM .39 and .70, forests .30 and .61.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property

from autometa.search.responses._base import Interpolation, Responses
from autometa.search.spaces import to_params
from autometa.spaces import Config


@dataclass(frozen=True, eq=False)
class PastCosts:
    """Compares configs by past seconds: a function of learner and config, as search has them."""

    responses: Responses
    _known: dict[str, float] = field(default_factory=dict[str, float])

    def __call__(self, learner: str, config: Config) -> float:
        """Seconds of the config over those of a middling one, on any table."""
        name = json.dumps([learner, dict(config)], sort_keys=True)
        if name not in self._known:
            self._known[name] = self._cost(learner, config)
        return self._known[name]

    def _cost(self, learner: str, config: Config) -> float:
        log_costs = self.responses.log_costs
        if log_costs is None:
            return 1.0
        point = self.responses.axes.encode([to_params(learner, config)])
        return math.exp(float((self._interpolation.weights(point) @ log_costs)[0]))

    @cached_property
    def _interpolation(self) -> Interpolation:
        return Interpolation.of(self.responses.kernel, self.responses.anchors)
