"""The first configs of a study of a table that is kin to one tuned before: its model's members.

A later version of a table, or another part of it, responds to configs as the first did. What its
ensemble was made of is then worth more than what did well on tables at large, and each of the
members is there because the others lacked it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autometa.priors._base import ConfigsProposer, ConfigsRequest, ProposedConfig
from autometa.priors.off import fit_into
from autometa.search.explanations import Explanation, Origin
from autometa.search.first_configs import ORIGIN as PORTFOLIO
from autometa.spaces import Config


@dataclass(frozen=True, slots=True)
class ProvenConfig:
    """A config that a model of `table` is made of, tried there as trial `number`.

    `share` is its share of the model's vote, or of several models' that have it.
    """

    learner: str
    config: Config
    table: str
    number: int
    share: float


@dataclass(frozen=True, slots=True)
class ProvenConfigs:
    """Proposes what was proven, then what `others` do: all but a portfolio in reserve.

    Without anything proven that the study's spaces have, it is as if `others` were asked.
    """

    proven: Sequence[ProvenConfig]
    others: ConfigsProposer

    def propose_configs(self, request: ConfigsRequest) -> Sequence[ProposedConfig]:
        """The configs, each once; the origin of ours is "past member"."""
        ours: dict[str, ProposedConfig] = {}
        for one in self.proven:
            space = request.spaces.get(one.learner)
            config = None if space is None else fit_into(space, one.config)
            if config is not None:
                why = Explanation(Origin.MEMBER, entry=one.number, tasks={one.table: 1.0})
                proposed = ProposedConfig(
                    one.learner, config, str(Origin.MEMBER), why.as_attribute()
                )
                ours.setdefault(_key(proposed), proposed)
        theirs = self.others.propose_configs(request)
        if not ours:
            return theirs
        rest = [one for one in theirs if _key(one) not in ours]
        return [
            *ours.values(),
            *(replace(one, is_reserve=one.is_reserve or one.origin != PORTFOLIO) for one in rest),
        ]


def _key(one: ProposedConfig) -> str:
    return f"{one.learner} {sorted(one.config.items())}"
