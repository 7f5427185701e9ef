"""The bookkeeping benchmark runs and reports what it promises."""

from __future__ import annotations

import json

from autometa.studies.benchmarks.bookkeeping import run


def test_a_small_run_reports_both_goals() -> None:
    """Pairs and growth at toy sizes give a whole report, ready for JSON."""
    report = run(n_pairs=2, n_trials=3, n_growth=110)
    assert set(report) >= {"median_ratio", "is_ratio_met", "growth", "is_growth_met"}
    assert json.loads(json.dumps(report))["n_trials"] == 3
