"""The network beside its opponent: the fit runs as a command, and the verdict counts rightly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from autometa.studies.benchmarks._network_fit import in_order_of_labels
from autometa.studies.benchmarks.network import PEER, verdict
from autometa.studies.benchmarks.peers import NETWORK, Run

ROOT = Path(__file__).parents[2]


def _run(table: str, system: str, loss: float | None, wall_s: float) -> Run:
    return Run(table, "binary", system, 60.0, 0, loss, wall_s, "0", None if loss else "failed")


def test_the_verdict_counts_tables_that_both_finished() -> None:
    """Ties count for us, slower ones against us, and a failure leaves its table out."""
    runs = [
        _run("a", NETWORK, 0.5, 1.0),
        _run("a", PEER, 0.5, 2.0),
        _run("b", NETWORK, 0.6, 3.0),
        _run("b", PEER, 0.5, 2.0),
        _run("c", NETWORK, None, 3.0),
        _run("c", PEER, 0.5, 2.0),
    ]
    found = verdict(runs)
    assert found["n_tables"] == 2
    assert found["n_at_least_as_good"] == 1
    assert found["n_at_least_as_quick"] == 1
    assert found["total_wall_ratio"] == 1.0


def test_columns_follow_the_sorted_labels() -> None:
    """Classes in natural order are put into text order; one that was left out gets nothing."""
    predicted = np.array([[0.1, 0.2, 0.7]])
    ordered = in_order_of_labels(predicted, ("1", "2", "10"), ["1", "10", "2", "rare"])
    np.testing.assert_array_equal(ordered, [[0.1, 0.7, 0.2, 0.0]])


def test_a_fit_runs_as_a_command_of_its_own(tmp_path: Path) -> None:
    """Train and test files go in, probabilities of the test rows come out."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pl.DataFrame({"x": x, "y": np.where(x > 0, "yes", "no")})
    frame[:90].write_parquet(tmp_path / "train.parquet")
    frame[90:].write_parquet(tmp_path / "test.parquet")
    paths = [str(tmp_path / "train.parquet"), str(tmp_path / "test.parquet")]
    output = tmp_path / "predictions.npy"
    module = "autometa.studies.benchmarks._network_fit"
    subprocess.run(
        [sys.executable, "-m", module, "binary", "y", *paths, "0", "1", str(output)],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    predicted = np.load(output)
    assert predicted.shape == (30, 2)
    assert ((predicted[:, 1] > 0.5) == (x[90:] > 0)).mean() > 0.9
