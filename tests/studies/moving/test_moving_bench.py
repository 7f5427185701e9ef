"""`autometa bench moving`, small: it moves what it made, and the file comes back the same."""

from __future__ import annotations

from autometa.studies.benchmarks.moving import N_OF_STUDY, run


def test_the_benchmark_moves_what_it_made() -> None:
    """Of more than one part, and the last study is not whole."""
    report = run(3 * N_OF_STUDY + 7, seed=1)
    assert report["is_same"] is True
    assert report["n_evaluations"] == 157
