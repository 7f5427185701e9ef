"""The first configs of a study with a prior: its network at once, then trained, then the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autometa.priors._base import ConfigsProposer, ConfigsRequest, ProposedConfig
from autometa.spaces import Config, Parameter, Space, When

NETWORK = "network"
_STANDARD = "standard"
# the first costs a fraction of a second, and is a member of use from then on
STARTS: tuple[Config, ...] = (
    {"start": "prior", "length": 0, "proposals": 4},
    {"start": "prior", "length": 4, "proposals": 4},
)


@dataclass(frozen=True, slots=True)
class StartConfigs:
    """The prior's networks first, and then what `others` propose, for the learner's own start."""

    others: ConfigsProposer

    def propose_configs(self, request: ConfigsRequest) -> Sequence[ProposedConfig]:
        """The configs; origins of ours are "prior"."""
        space = request.spaces.get(NETWORK)
        if space is None or not any(one.name == "start" for one in space.parameters):
            return self.others.propose_configs(request)
        ours = [ProposedConfig(NETWORK, space.complete(config), "prior") for config in STARTS]
        plain = replace(request, spaces={**request.spaces, NETWORK: standard_part(space)})
        rest = [
            one if one.learner != NETWORK else _with_standard_start(one, space)
            for one in self.others.propose_configs(plain)
        ]
        return [*ours, *rest]


def standard_part(space: Space) -> Space:
    """The settings of networks with the learner's own start."""
    kept = [one for one in space.parameters if one.name != "start" and _is_standard(one.when)]
    return Space(tuple(_without_start(one) for one in kept))


def _is_standard(when: When | None) -> bool:
    return when is None or when.parent != "start" or _STANDARD in when.values


def _without_start(parameter: Parameter) -> Parameter:
    is_of_start = parameter.when is not None and parameter.when.parent == "start"
    return replace(parameter, when=None) if is_of_start else parameter


def _with_standard_start(proposed: ProposedConfig, space: Space) -> ProposedConfig:
    config = space.complete({**proposed.config, "start": _STANDARD})
    return replace(proposed, config=config)
