"""The study in memory: what is tried first, what is told, and how an earlier run goes on."""

from dataclasses import replace

import optuna
import pytest

from autometa.priors._base import ProposedConfig
from autometa.records import TrialRecord, TrialState
from autometa.search.sampling import make_sampler
from autometa.spaces import Choice, Float, Int, Parameter, Space, When
from autometa.studies.asking import Asked, Asker

SPACES = {
    "hill": Space((Parameter("x", Float(-1.0, 1.0), 0.0), Parameter("n", Int(1, 9), 3))),
    "fork": Space(
        (
            Parameter("way", Choice(("left", "right")), "left"),
            Parameter("depth", Float(0.1, 10.0, log=True), 1.0, When("way", ("right",))),
        )
    ),
}
FIRST = [
    ProposedConfig("fork", {"way": "left"}, "default"),
    ProposedConfig("hill", {"x": 0.5, "n": 3}, "default"),
]


def _asker(history: list[TrialRecord] | None = None) -> Asker:
    return Asker(SPACES, make_sampler(0), FIRST, history or [])


def _record(asked: Asked, state: TrialState = TrialState.COMPLETE) -> TrialRecord:
    loss = float(len(asked.config)) + float(str(asked.config.get("x", 0.3)))
    is_complete = state is TrialState.COMPLETE
    return TrialRecord(
        asked.number,
        asked.learner,
        asked.config,
        state,
        loss=loss if is_complete else None,
        fold_losses=(loss, loss + 0.1) if is_complete else (),
        origin=asked.origin,
    )


def _run(asker: Asker, n: int) -> list[TrialRecord]:
    records: list[TrialRecord] = []
    for _ in range(n):
        records.append(_record(asker.ask()))
        asker.tell(records[-1])
    return records


def test_proposed_configs_come_first_and_in_order() -> None:
    """The first trials are the proposed configs with their origin; then the sampler is asked."""
    records = _run(_asker(), 4)
    assert [(r.learner, dict(r.config)) for r in records[:2]] == [
        (proposed.learner, proposed.config) for proposed in FIRST
    ]
    assert [r.origin for r in records] == ["default", "default", "search", "search"]


def test_configs_are_whole_and_conditional() -> None:
    """Every config asked for is complete in its learner's space."""
    for record in _run(_asker(), 25):
        assert SPACES[record.learner].complete(record.config) == dict(record.config)


def test_a_resumed_study_goes_on_as_if_it_had_not_ended() -> None:
    """With the same history the next configs are the same, and nothing proposed is repeated."""
    whole = _run(_asker(), 20)
    resumed = _run(_asker(whole[:12]), 8)
    assert [(r.number, r.learner, dict(r.config)) for r in resumed] == [
        (r.number, r.learner, dict(r.config)) for r in whole[12:]
    ]


def test_numbers_lost_in_flight_stay_lost() -> None:
    """A killed run's missing trial leaves a hole, not another trial's number."""
    records = _run(_asker(), 6)
    asker = _asker([record for record in records if record.number != 4])
    assert asker.next_number == 6
    assert asker.ask().number == 6


@pytest.mark.parametrize(
    ("state", "kept_as"),
    [
        (TrialState.PRUNED, optuna.trial.TrialState.PRUNED),
        (TrialState.FAILED, optuna.trial.TrialState.FAIL),
        (TrialState.OUT_OF_MEMORY, optuna.trial.TrialState.FAIL),
        (TrialState.TIMED_OUT, optuna.trial.TrialState.FAIL),
        (TrialState.CRASHED, optuna.trial.TrialState.FAIL),
    ],
)
def test_failures_can_be_told(state: TrialState, kept_as: optuna.trial.TrialState) -> None:
    """Every outcome is told without a value, and Optuna keeps it with its own state."""
    asker = _asker()
    record = _record(asker.ask(), state)
    asker.tell(record)
    frozen = asker.frozen(record)
    assert frozen.state is kept_as
    assert frozen.user_attrs["state"] == state.value


def test_what_is_discarded_is_asked_no_more_and_counts_for_nothing() -> None:
    """A config taken back leaves the study free to ask again."""
    asker = _asker()
    asked = asker.ask()
    asker.discard(asked.number)
    assert asker.ask().number == asked.number + 1


def test_what_is_in_reserve_waits_for_its_learner() -> None:
    """It comes before the sampler's when the learner is asked for, once each, and never else."""
    boosted, linear = (replace(one, is_reserve=True, origin="published") for one in FIRST)
    asker = Asker(SPACES, make_sampler(0), [boosted, linear, linear])
    asked = [asker.ask(learner) for learner in (None, linear.learner, linear.learner)]
    assert [one.origin for one in asked] == ["search", "published", "search"]
    assert (asked[1].learner, asked[1].config) == (linear.learner, linear.config)
