import pytest

from autometa.records import TrialRecord, TrialState
from autometa.search.stopping import NeverStop, PatienceStopper


def records(losses: list[float | None]) -> list[TrialRecord]:
    states = {True: TrialState.PRUNED, False: TrialState.COMPLETE}
    return [
        TrialRecord(at, "trees", {}, states[loss is None], loss) for at, loss in enumerate(losses)
    ]


def test_never_stops() -> None:
    """With the prior off the whole budget is used."""
    assert NeverStop().reason_to_stop(records([1.0] * 1_000)) is None


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([1.0, 0.9, 0.8] * 3, False),  # too few trials
        ([2.0, 1.0] * 5 + [1.5] * 5, True),
        ([2.0, 1.0] * 5 + [None] * 5, True),
        ([2.0, 1.0] * 5 + [1.5, 0.5, 1.5, 1.5, 1.5], False),
        ([2.0, 1.0] * 5 + [1.5, 0.9999, 1.5, 1.5, 1.5], True),  # within the noise
        ([None] * 20, False),
    ],
)
def test_patience_ends(losses: list[float | None], stops: bool) -> None:
    """It stops when the last trials found nothing better by more than noise."""
    reason = PatienceStopper(patience=5, min_trials=10).reason_to_stop(records(losses))
    assert (reason is not None) == stops
    assert reason is None or "5 trials" in reason


def test_failures_are_not_trials() -> None:
    """Failures do not use up patience."""
    failed = [TrialRecord(at, "trees", {}, TrialState.CRASHED) for at in range(20, 40)]
    stopper = PatienceStopper(patience=5, min_trials=10)
    gaining = [1 / (at + 1) for at in range(12)]
    assert stopper.reason_to_stop([*records([*gaining]), *failed]) is None
