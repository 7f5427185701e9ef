"""Importing autometa and asking for help are cheap; public names are there when used."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import autometa
from autometa.errors import AutometaError

# fmt: off
HEAVY = {
    "torch", "sklearn", "scipy", "lightgbm", "catboost", "optuna", "numpy", "polars", "pandas",
    "narwhals", "sqlalchemy", "alembic", "rich", "psutil", "loky",
}
# fmt: on

# what a fresh process reports of itself after running some code
REPORT = """
import json, sys
before = set(sys.modules)  # what starting the interpreter loads is not ours
{code}
print(json.dumps(dict(modules=sorted(set(sys.modules) - before))))
"""
HELP = """
import contextlib, io
from autometa.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(["--help"])
"""


def fresh(code: str) -> dict[str, Any]:
    """Run code in a fresh interpreter and return its report."""
    command = [sys.executable, "-c", REPORT.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("code", ["import autometa", HELP], ids=["import", "help"])
def test_nothing_heavy_is_loaded(code: str) -> None:
    """`import autometa` and `autometa --help` load no torch, sklearn, optuna or the like."""
    report = fresh(code)
    tops = {name.split(".")[0] for name in report["modules"]}
    assert not tops & HEAVY


@pytest.mark.parametrize("module", ["tuning", "learning.background", "learning.choosing"])
def test_who_trains_no_network_loads_no_torch(module: str) -> None:
    """A study's driver leaves that to its workers, and lists of priors need none."""
    assert "torch" not in fresh(f"import autometa.studies.{module}")["modules"]


@pytest.mark.parametrize(("code", "most"), [("import autometa", 30), (HELP, 120)])
def test_little_is_loaded(code: str, most: int) -> None:
    """Both load few modules, the standard library's included: that is what keeps them quick."""
    assert len(fresh(code)["modules"]) < most


def test_linked_folders_have_one_name() -> None:
    """Using the package never imports it a second time under the folders' own names."""
    report = fresh("import autometa\nautometa.tune, autometa.Store, autometa.load")
    assert not {"studies", "storage", "cli"} & set(report["modules"])


@pytest.mark.parametrize("name", autometa.__all__)
def test_public_names_are_there(name: str) -> None:
    """Every name in `__all__` can be had."""
    assert getattr(autometa, name) is not None
    assert name in dir(autometa)


def test_lazy_names_are_public() -> None:
    """Every lazily loaded name is declared public."""
    assert set(autometa._HOMES) <= set(autometa.__all__)


def test_unknown_names_are_refused() -> None:
    """A name that does not exist is an AttributeError, as from any module."""
    with pytest.raises(AttributeError, match="no attribute 'tun'"):
        _ = autometa.tun


def test_user_errors_are_value_errors() -> None:
    """Callers may catch what they can mend as ValueError."""
    assert issubclass(AutometaError, ValueError)
