"""Options of synthetic tables: what is refused, and what the message says."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autometa.errors import OptionError
from autometa.priors.synthetic import TableOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": (4, 100)}, "rows is .*: give numbers from 8"),
        ({"rows": (100, 50)}, "the lower one first"),
        ({"columns": (0, 5)}, "columns is"),
        ({"classification": 1.5}, "classification is"),
        ({"binary": math.nan}, "binary is"),
        ({"missing_cells": (0.5, 0.1)}, "missing_cells is"),
        ({"noise": (0, 1)}, "noise is"),
        ({"max_classes": 1}, "max_classes is 1: give 2 or more"),
        ({"max_levels": 1}, "max_levels is 1"),
        ({"sources": {"grap": 1}}, "sources has 'grap': known are graph"),
        ({"responses": {"linear": 0}}, "one above 0"),
        ({"responses": {"linear": -1, "smooth": 2}}, "give weights from 0"),
        ({"sources": {"graph": math.inf}}, "give weights"),
        ({"sources": {}}, "one above 0"),
    ],
)
def test_impossible_options_say_what_to_give(options: dict[str, Any], message: str) -> None:
    """Options that describe no table are refused when they are made."""
    with pytest.raises(OptionError, match=message):
        TableOptions(**options)


def test_defaults_are_not_shared() -> None:
    """Changing one object's weights leaves the next one's alone."""
    first = TableOptions()
    assert isinstance(first.sources, dict)
    first.sources["graph"] = 9.0
    assert TableOptions().sources["graph"] < 1
