"""What a benchmark prints when it is run from the command line."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from autometa.cli import main

SHORT = ["--quiet", "--json", "--threads", "1"]


def bench(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """The JSON that a benchmark prints, or what it says on stderr where it fails."""
    with pytest.raises(SystemExit) as left:
        main(["bench", *words])
    said = capsys.readouterr()
    assert left.value.code == code, said.err
    return json.loads(said.out) if code == 0 else said.err


def require_finite(shown: list[dict[str, float]]) -> None:
    """Every figure is a number with an interval."""
    for one in shown:
        assert math.isfinite(one["mean"])
        assert one["half_interval"] >= 0
