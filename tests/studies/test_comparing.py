"""Studies side by side: whether they can be compared, and figures worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from autometa.errors import OptionError, StoreError
from autometa.records import TrialRecord, TrialState
from autometa.storage import NewStudy, Store, StudyStatus, TableRecord
from autometa.studies.comparing import compare_studies
from autometa.studies.reports.comparison import comparison_listing

Study = Callable[..., str]
DONE = TrialState.COMPLETE


@pytest.fixture(name="path")
def fixture_path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        for mark, name in (("a", "churn"), ("b", "churn"), ("c", "wine")):
            store.add_table(TableRecord(mark * 64, name, 90, 2, "y", "binary", 2))
    return path


@pytest.fixture(name="study")
def fixture_study(path: Path) -> Study:
    """Makes a study; its trials are learner, config, loss and the seconds after its start."""

    def make(
        trials: Sequence[tuple[str, dict[str, int], float | None, float]] = (), **words: object
    ) -> str:
        facts = {
            "table": "a" * 64,
            "name": "churn",
            "metric": "accuracy",
            "seed": 0,
            "split": "cv5",
        }
        with Store.open(path) as store:
            new = NewStudy(key="k", **(facts | words))  # type: ignore[arg-type] # facts of each type
            study = store.start_study(new)
            began = study.created_at.timestamp()
            for n, (learner, config, loss, after_s) in enumerate(trials):
                state = DONE if loss is not None else TrialState.FAILED
                store.add_trial(
                    study.id,
                    TrialRecord(
                        n, learner, config, state, loss, duration_s=0.5, started_at=began + after_s
                    ),
                )
            store.finish_study(study.id, StudyStatus.FINISHED)
            return study.id

    return make


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({}, ""),
        ({"table": "b" * 64}, "different versions of the table"),
        ({"table": "c" * 64, "name": "wine"}, "different tables"),
        ({"metric": "log_loss"}, "metrics differ"),
        ({"split": "cv8"}, "splits differ"),
    ],
)
def test_it_is_said_why_scores_cannot_be_compared(
    path: Path, study: Study, words: dict[str, object], reason: str
) -> None:
    """Another table, version of it, metric or split: the first line says so."""
    compared = compare_studies(path, [study(), study(**words)])
    assert bool(compared.reasons) == bool(reason)
    first = comparison_listing(compared).sections[0].rows[0][0]
    assert first == "yes" if not reason else reason in first


def test_a_seed_is_no_hindrance_but_said(path: Path, study: Study) -> None:
    """Scores of other seeds may be compared, with care."""
    compared = compare_studies(path, [study(), study(seed=1, autometa_version="9")])
    assert not compared.reasons
    assert [row[0] for row in comparison_listing(compared).sections[0].rows] == [
        "yes",
        "mind that their seeds differ, and so the rows of their splits",
        "mind that other versions of autometa made them",
    ]


def test_figures_by_hand(path: Path, study: Study) -> None:
    """Best of each learner, when the best was done, what was the best at a moment."""
    one = study(
        [
            ("linear", {"c": 1}, 0.5, 1.0),
            ("network", {"width": 8, "depth": 2}, 0.25, 3.5),
            ("network", {"width": 8, "depth": 3}, 0.25, 20.0),
            ("forests", {}, None, 30.0),
            ("forests", {}, math.nan, 31.0),
        ],
        options={"n_trials": 5, "use_prior": True, "started_at": 17.5},
    )
    other = study(
        [("network", {"width": 16, "depth": 2}, 0.125, 0.0)],
        options={"n_trials": 1, "use_prior": True, "started_at": 99.0},
    )
    compared = compare_studies(path, [one[:6], other])
    first, second = compared.studies
    assert first.best is not None
    assert first.best.number == 1  # of equal ones the earlier
    assert first.time_to_best_s == pytest.approx(4.0, abs=1e-3)
    assert first.took_s == pytest.approx(31.5, abs=1e-3)
    assert [first.loss_at(moment) for moment in (1.0, 1.6, 3.9, 4.1, 99.0)] == [
        None,
        0.5,
        0.5,
        0.25,
        0.25,
    ]
    assert (second.loss_of("linear"), second.loss_of("network")) == (None, 0.125)
    assert compared.learners == ["linear", "network"]
    assert compared.choices == {"n_trials": (5, 1)}
    assert compared.best_settings == {"width": (8, 16)}
    assert compared.moments_s == (1, 2, 5, 20, 30)


def test_the_listing_has_a_column_for_each_study(path: Path, study: Study) -> None:
    """Scores stand in the metric's own sign; the same as JSON, figures whole."""
    ids = [
        study([("linear", {"c": 1}, 0.5, 1.0)]),
        study([("network", {"width": 8}, 0.25, 90.0)]),
        study(),
    ]
    listing = comparison_listing(compare_studies(path, ids))
    lines = listing.as_lines()
    assert "\t".join(["best score", "0.5000", "0.7500", "-"]) in lines
    assert "\t".join(["learner", "linear", "network", "-"]) in lines
    assert "\t".join(["network", "-", "0.7500", "-"]) in lines
    assert "\t".join(["5.0 s", "0.5000", "-", "-"]) in lines
    values = json.loads(json.dumps(listing.values, allow_nan=False))
    assert [one["best_score"] for one in values["studies"]] == [0.5, 0.75, None]
    assert values["best_settings"]["c"] == [1, None, None]


def test_studies_without_trials_are_compared_too(path: Path, study: Study) -> None:
    """Nothing happened in either: there is nothing to tell but what they are."""
    listing = comparison_listing(compare_studies(path, [study(), study()]))
    assert [section.title for section in listing.sections if section.rows] == ["", "studies"]


def test_two_studies_at_least(path: Path, study: Study) -> None:
    """One study, or one twice, is no comparison; an id of nothing is said."""
    one = study()
    for ids in ([one], [one, one[:7]], []):
        with pytest.raises(OptionError, match="two studies or more"):
            compare_studies(path, ids)
    with pytest.raises(StoreError, match="no study's id"):
        compare_studies(path, [one, "zzzz1"])
