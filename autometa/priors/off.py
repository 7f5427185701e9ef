"""Every prior switched off: the learners' own starts, their defaults, and a few configs by hand.

The latter are from AutoGluon's zero-shot portfolio of 2023 (learned on TabRepo: Salinas and
Erickson, 2024), and what did well beside the defaults on tables that no figure is reported on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from autometa.priors._base import ConfigsRequest, NetworkStart, ProposedConfig, StartRequest
from autometa.spaces import Choice, Config, Parameter, Scalar, Space

# a learner's first config where that is not its default: what a study of a minute can afford
FIRST: Mapping[str, Config] = {
    # a fifth to a tenth of the default's seconds; better than it on 5 of 7 tables of 500 to 2,200
    # rows under cross-validation (docs/log.md)
    "network": {"width": 64, "depth": 2, "members": 4, "embedding": "periodic", "epochs": 64},
}

PUBLISHED: Mapping[str, Sequence[Config]] = {
    "lightgbm": (
        {"extra_trees": True, "learning_rate": 0.05, "num_leaves": 31},
        {
            "learning_rate": 0.05,
            "num_leaves": 6,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.8,
            "lambda_l2": 3.0,
            "min_data_in_leaf": 5,
        },
        {"learning_rate": 0.03, "num_leaves": 128, "min_data_in_leaf": 3},  # AutoGluon's Large
    ),
    "linear": ({"features": "plain", "scaling": "quantile"}, {"scaling": "quantile"}),
    "catboost": (
        {"depth": 5, "l2_leaf_reg": 3.0, "rsm": 0.7},
        {
            "learning_rate": 0.04,
            "border_count": 254,
            "random_strength": 1.0,
            "l2_leaf_reg": 3.0,
            "subsample": 0.8,
        },
        {  # AutoGluon's _r9
            "depth": 8,
            "grow_policy": "Depthwise",
            "l2_leaf_reg": 2.80,
            "learning_rate": 0.0314,
            "one_hot_max_size": 3,
        },
    ),
    "network": (
        {"width": 128, "depth": 3, "members": 1, "embedding": "none", "epochs": 64},
        {"epochs": 256},
    ),
    "forests": ({"trees": "random", "min_samples_leaf": 3}, {"min_samples_leaf": 5}),
}


class StandardStart:
    """Leaves a network its own initial weights and learning rates."""

    def propose_start(self, request: StartRequest) -> NetworkStart:
        """Nothing."""
        del request
        return NetworkStart()


class DefaultConfigs:
    """Proposes every learner's first config, then the published ones, learner by learner.

    Learners come in the order of the spaces, which is the registry's.
    """

    def propose_configs(self, request: ConfigsRequest) -> Sequence[ProposedConfig]:
        """The configs, each once; origins are "default" and "published"."""
        proposed = [
            ProposedConfig(learner, _first(learner, space), "default")
            for learner, space in request.spaces.items()
        ]
        for learner, config in _in_turn(request.spaces):
            if all(config != old.config for old in proposed if old.learner == learner):
                proposed.append(ProposedConfig(learner, config, "published"))
        return proposed


def _first(learner: str, space: Space) -> dict[str, Scalar]:
    """The learner's first config if the space has it; else its default."""
    return fit_into(space, FIRST.get(learner, {})) or space.defaults()


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
