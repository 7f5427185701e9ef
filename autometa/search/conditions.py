"""Which settings exist only beside certain values of others, told from configs.

A define-by-run study never declares its conditions, and past ones come without: but a setting that
some configs lack, and that one other setting's value tells the absence of, is under that setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autometa.spaces import Config, Scalar

_MOST_VALUES = 64  # a parent is a choice, or a small whole number


@dataclass(frozen=True, slots=True)
class Condition:
    """A setting is absent where `parent` has one of the values `without`."""

    parent: str
    without: frozenset[tuple[type, Scalar]]

    def holds(self, config: Config) -> bool:
        """Whether a config that has these values has the setting."""
        if self.parent not in config:
            return False
        value = config[self.parent]
        return (type(value), value) not in self.without


def find_conditions(configs: Sequence[Config]) -> dict[str, Condition]:
    """The condition of each setting that has one.

    Of several parents that would explain an absence, the one that most configs have is taken, and
    of equal ones the first by name.
    """
    names = sorted({name for config in configs for name in config})
    counts = {name: sum(name in config for config in configs) for name in names}
    values = {name: _values(name, configs) for name in names}
    found: dict[str, Condition] = {}
    for name in names:
        if counts[name] == len(configs):
            continue
        parents = [
            parent
            for parent in sorted(names, key=lambda other: (-counts[other], other))
            if parent != name and counts[parent] > counts[name] and values[parent] is not None
        ]
        for parent in parents:
            without = _values_without(name, parent, configs)
            if without is not None:
                found[name] = Condition(parent, without)
                break
    return found


def active(config: Config, conditions: Mapping[str, Condition]) -> dict[str, Scalar]:
    """The config without settings whose conditions do not hold."""
    kept = dict(config)
    while True:  # a parent may itself be under a condition
        gone = [
            name
            for name, condition in conditions.items()
            if name in kept and not condition.holds(kept)
        ]
        if not gone:
            return kept
        for name in gone:
            del kept[name]


def _values(name: str, configs: Sequence[Config]) -> frozenset[Scalar] | None:
    """The setting's values, None if they are too many or broken numbers."""
    values = {config[name] for config in configs if name in config}
    if len(values) > _MOST_VALUES or any(isinstance(value, float) for value in values):
        return None
    return frozenset(values)


def _values_without(
    name: str, parent: str, configs: Sequence[Config]
) -> frozenset[tuple[type, Scalar]] | None:
    """The parent's values beside which the setting is absent; None if it is not told by them."""
    with_it: set[tuple[type, Scalar]] = set()
    without: set[tuple[type, Scalar]] = set()
    for config in configs:
        if parent not in config:
            if name in config:
                return None
            continue
        value = (type(config[parent]), config[parent])
        (with_it if name in config else without).add(value)
    return frozenset(without) if without and not with_it & without else None
