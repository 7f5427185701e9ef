"""Every prior switched off: the learners' own starts, their defaults, and a few published configs.

The published ones are the first of AutoGluon's zero-shot portfolio of 2023 (learned on TabRepo:
Salinas and Erickson, 2024), the batch ensemble of TabM (Gorishniy et al., 2025) and the plain form
of what is a learner's richer default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from autometa.priors._base import ConfigsRequest, NetworkStart, ProposedConfig, StartRequest
from autometa.spaces import Choice, Config, Parameter, Scalar, Space

PUBLISHED: Mapping[str, Sequence[Config]] = {
    "lightgbm": (
        {"extra_trees": True},
        {  # _r131
            "learning_rate": 0.0121,
            "num_leaves": 53,
            "min_data_in_leaf": 14,
            "feature_fraction": 0.70,
        },
        {  # _r96
            "extra_trees": True,
            "learning_rate": 0.0152,
            "num_leaves": 16,
            "min_data_in_leaf": 48,
            "feature_fraction": 0.56,
        },
        {"learning_rate": 0.03, "num_leaves": 128, "min_data_in_leaf": 3},  # Large
    ),
    "catboost": (
        {  # _r177
            "depth": 6,
            "l2_leaf_reg": 2.15,
            "learning_rate": 0.0686,
            "max_ctr_complexity": 4,
            "one_hot_max_size": 10,
        },
        {  # _r9
            "depth": 8,
            "grow_policy": "Depthwise",
            "l2_leaf_reg": 2.80,
            "learning_rate": 0.0314,
            "max_ctr_complexity": 2,
            "one_hot_max_size": 3,
        },
        {  # _r137
            "depth": 4,
            "l2_leaf_reg": 4.56,
            "learning_rate": 0.0494,
            "max_ctr_complexity": 3,
            "one_hot_max_size": 3,
        },
    ),
    "network": ({"members": 16}, {"embedding": "none"}),
    "forests": ({"trees": "random"}, {"trees": "extra", "max_features": 0.75}),  # _r42
    "linear": ({"features": "plain"},),
}


class StandardStart:
    """Leaves a network its own initial weights and learning rates."""

    def propose_start(self, request: StartRequest) -> NetworkStart:
        """Nothing."""
        del request
        return NetworkStart()


class DefaultConfigs:
    """Proposes every learner's default, then the published configs, learner by learner in turn.

    Learners come in the order of the spaces, which is the strongest first.
    """

    def propose_configs(self, request: ConfigsRequest) -> Sequence[ProposedConfig]:
        """The configs, each once; origins are "default" and "published"."""
        proposed = [
            ProposedConfig(learner, space.defaults(), "default")
            for learner, space in request.spaces.items()
        ]
        for learner, config in _in_turn(request.spaces):
            if all(config != old.config for old in proposed if old.learner == learner):
                proposed.append(ProposedConfig(learner, config, "published"))
        return proposed


def fit_into(space: Space, config: Config) -> dict[str, Scalar] | None:
    """`config` as a whole config of `space`, None if it has none like it.

    Settings that the space does not have are left out, numbers beyond a range are brought to its
    end, and a choice that is not offered has no like.
    """
    parameters = {parameter.name: parameter for parameter in space.parameters}
    kept = {name: value for name, value in config.items() if name in parameters}
    fitted = {name: _bring_inside(parameters[name], value) for name, value in kept.items()}
    if not fitted or any(value not in parameters[name].domain for name, value in fitted.items()):
        return None
    return space.complete(fitted)


def _bring_inside(parameter: Parameter, value: Scalar) -> Scalar:
    domain = parameter.domain
    if isinstance(domain, Choice) or not isinstance(value, int | float):
        return value
    return min(max(value, domain.low), domain.high)


def _in_turn(spaces: Mapping[str, Space]) -> Iterator[tuple[str, dict[str, Scalar]]]:
    """The first published config of each learner, then the second, and so on."""
    lists = [
        [(learner, config) for config in _published(learner, space)]
        for learner, space in spaces.items()
    ]
    for turn in zip_longest(*lists):
        yield from (item for item in turn if item is not None)


def _published(learner: str, space: Space) -> list[dict[str, Scalar]]:
    fitted = [fit_into(space, config) for config in PUBLISHED.get(learner, ())]
    return [config for config in fitted if config is not None]
