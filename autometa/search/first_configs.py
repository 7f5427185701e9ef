"""The first configs of a study of a table, from what did well on tables like it.

A greedy portfolio over all learners' configs (Wistuba et al., 2015), weighted by attention: each
next config is the one that would lower the mean regret over past tables most for its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from autometa.priors._base import ConfigsProposer, ConfigsRequest, ProposedConfig
from autometa.priors.off import fit_into
from autometa.search.explanations import Explanation, Origin
from autometa.search.portfolio import expected_gains, shares
from autometa.search.responses._base import Array, Interpolation, Responses, regrets_at
from autometa.search.responses.attention import Attention
from autometa.search.spaces import LEARNER
from autometa.spaces import Config

ORIGIN = "portfolio"
_PUBLISHED = "published"

# of the logarithm of seconds: with 1 a config of twice the time must gain twice as much. Of .25,
# .5, 1 and 1.5 it was best on left-out families of the design half at all times (docs/log.md)
_COST_POWER = 1.0


@dataclass(frozen=True, slots=True)
class PortfolioConfigs:
    """Proposes `n` configs of the portfolio, then what `others` do: published ones in reserve.

    The portfolio gains most for its time, and takes little of it. The best single model needs no
    more, but an ensemble wants good models of all kinds, and so the prior's networks and every
    learner's default follow; the rest waits for its learner's turn.
    """

    responses: Responses
    others: ConfigsProposer
    n: int = 6

    def propose_configs(self, request: ConfigsRequest) -> Sequence[ProposedConfig]:
        """The configs, each once; the origin of ours is "portfolio"."""
        weights = Attention.learn(self.responses).weights(request.description)
        ours: list[ProposedConfig] = []
        for one in self._greedy(weights, request):
            if all(not _is_same(one, other) for other in ours):
                ours.append(one)
        theirs = self.others.propose_configs(request)
        rest = [one for one in theirs if all(not _is_same(one, other) for other in ours)]
        in_turn = bool(ours)  # without a past, others' order is as good as any
        return [
            *ours,
            *(replace(one, is_reserve=in_turn and one.origin == _PUBLISHED) for one in rest),
        ]

    def _greedy(self, weights: Array, request: ConfigsRequest) -> list[ProposedConfig]:
        responses = self.responses
        fitted = [_fitted(config, request) for config in responses.pool]
        known = [at for at, one in enumerate(fitted) if one is not None]
        if not known:
            return []
        points = responses.axes.encode([responses.pool[at] for at in known])
        between = Interpolation.of(responses.kernel, responses.anchors).weights(points)
        regrets = regrets_at(responses.means @ between.T, responses.regrets)
        dearness = np.zeros(len(known))
        if responses.log_costs is not None:
            dearness = between @ responses.log_costs
        scores = weights @ (responses.means @ between.T)
        reached, found = np.ones(responses.n_tasks), list[ProposedConfig]()
        for _ in range(min(self.n, len(known))):
            gains = expected_gains(weights, regrets, reached)
            worth = np.log(np.maximum(gains, 1e-12)) - _COST_POWER * dearness
            at = int(worth.argmax())
            why = Explanation(
                Origin.PORTFOLIO,
                entry=len(found) + 1,
                tasks=responses.name_shares(shares(weights, regrets[:, at], reached)),
                better_than=float(ndtr(-scores[at])),
            )
            reached = np.minimum(reached, regrets[:, at])
            dearness[at] = np.inf
            one = fitted[known[at]]
            if one is not None:
                found.append(replace(one, why=why.as_attribute()))
        return found


def _fitted(config: Config, request: ConfigsRequest) -> ProposedConfig | None:
    """A joint config as one of its learner, None if this study has none like it."""
    learner = str(config.get(LEARNER))
    space = request.spaces.get(learner)
    if space is None:
        return None
    prefix = f"{learner}."
    own = {
        name.removeprefix(prefix): value
        for name, value in config.items()
        if name.startswith(prefix)
    }
    whole = fit_into(space, own)
    return None if whole is None else ProposedConfig(learner, whole, ORIGIN)


def _is_same(one: ProposedConfig, other: ProposedConfig) -> bool:
    return one.learner == other.learner and one.config == other.config
