"""What kinds of synthetic tables to draw, and how often."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autometa.errors import OptionError
from autometa.priors.synthetic.responses import RESPONSES
from autometa.priors.synthetic.sources import SOURCES

# Columns mostly of causal graphs, as in the recipe; factors until columns of synthetic tables
# were as correlated as those of 262 real ones (a mean rank correlation of .26). Responses until a
# ridge regression and boosted trees did about as well as on 110 real ones: their R2 is .40 and .46
# on average here, .41 and .39 there. More of what is not linear is kept than real tables have, on
# purpose: it is what a prior has to be taught. With half as many trees and rules again, and more
# effects bent, it was .39 and .48.
SOURCE_WEIGHTS: Mapping[str, float] = {
    "graph": 0.35,
    "layers": 0.13,
    "factors": 0.25,
    "clusters": 0.06,
    "series": 0.05,
    "panel": 0.08,
    "independent": 0.08,
}
RESPONSE_WEIGHTS: Mapping[str, float] = {
    "units": 0.27,
    "linear": 0.24,
    "additive": 0.17,
    "formula": 0.06,
    "smooth": 0.05,
    "oblivious trees": 0.06,
    "deep trees": 0.05,
    "conjunction": 0.05,
    "hierarchy": 0.03,
    "prototypes": 0.02,
}


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Ranges, both ends included, and shares in 0..1.

    `rows` and `columns` are log-uniform; so are `noise` and `class_noise`, of regression and of
    classes, in deviations of the signal. Shares of tables: `classification`, `missing`,
    `outliers`, `two_sources`, `two_responses`; of classification tables: `binary`; of a table's
    columns: `categories`, `irrelevant`; of a table's cells: `missing_cells`. `sources` and
    `responses` weigh mechanisms by name, 0 or left out for never.

    Raises `OptionError` for what is none of these.
    """

    rows: tuple[int, int] = (32, 2048)
    columns: tuple[int, int] = (2, 100)
    classification: float = 0.6
    binary: float = 0.65
    max_classes: int = 30
    categories: tuple[float, float] = (0.0, 1.0)
    max_levels: int = 300
    irrelevant: tuple[float, float] = (0.0, 0.5)
    missing: float = 0.3
    missing_cells: tuple[float, float] = (0.0, 0.4)
    outliers: float = 0.15
    # up to 1 and 2, and with more trees, tables were easier than real ones: the best of ridge,
    # boosting and neighbours had an R2 of .51 on average, .44 on real ones
    noise: tuple[float, float] = (0.01, 2.0)
    class_noise: tuple[float, float] = (0.03, 3.0)
    two_sources: float = 0.2
    two_responses: float = 0.35
    sources: Mapping[str, float] = field(default_factory=lambda: dict(SOURCE_WEIGHTS))
    responses: Mapping[str, float] = field(default_factory=lambda: dict(RESPONSE_WEIGHTS))

    def __post_init__(self) -> None:
        """Refuse ranges that are none, shares that are none, and unknown mechanisms."""
        for name, least in (("rows", 8), ("columns", 1)):
            _check_range(name, getattr(self, name), least, 10**6)
        for name in ("categories", "irrelevant", "missing_cells"):
            _check_range(name, getattr(self, name), 0, 1)
        for name in ("noise", "class_noise"):
            _check_range(name, getattr(self, name), 1e-6, 1e3)
        for name in (
            "classification",
            "binary",
            "missing",
            "outliers",
            "two_sources",
            "two_responses",
        ):
            _check_range(name, (0, getattr(self, name)), 0, 1)
        for name, least in (("max_classes", 2), ("max_levels", 2)):
            if getattr(self, name) < least:
                raise OptionError(f"{name} is {getattr(self, name)}: give {least} or more")
        _check_weights("sources", self.sources, SOURCES)
        _check_weights("responses", self.responses, RESPONSES)


def _check_range(name: str, given: tuple[float, float], least: float, most: float) -> None:
    low, high = given
    if not least <= low <= high <= most:
        raise OptionError(
            f"{name} is {given}: give numbers from {least} to {most}, the lower one first"
        )


def _check_weights(name: str, weights: Mapping[str, float], known: Mapping[str, object]) -> None:
    unknown = sorted(set(weights) - set(known))
    if unknown:
        raise OptionError(f"{name} has {unknown[0]!r}: known are {', '.join(known)}")
    are_weights = all(0 <= weight < math.inf for weight in weights.values())
    if not are_weights or not sum(weights.values()) > 0:
        raise OptionError(f"{name} is {dict(weights)}: give weights from 0, one above 0")
