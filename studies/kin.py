"""Tables so like a new one that they are its kin: what their models are made of, a network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from autometa.records import TrialRecord, TrialState
from autometa.search.proven_configs import ProvenConfig
from autometa.storage import Store
from autometa.storage.past_studies import PastStudy
from autometa.studies.histories import task_names
from autometa.studies.kept_networks import KinNetwork
from autometa.studies.moving.foreign import is_foreign

KIN = 0.68
"""The similarity from which tables are kin.

Of 60 real tables two fifths of the rows are so like the whole for 93 % of them, halves are so like
each other for 97 %, and the nearest table of another family is so like it for 2 % (docs/log.md).
"""

MOST_PROVEN = 8
_BUDGET_SHARE = 0.5  # for proven configs together, one after the other
_LONGEST_SHARE = 0.2  # for one of them: a trial that is cut off tells little


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A table about to be tuned, as far as its kin is looked for.

    `kind` is that of its target, `budget_s` None where the clock must change nothing.
    """

    description: Mapping[str, float]
    kind: str
    n_rows: int
    budget_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A config with its weight among all, and what it may be expected to take."""

    proven: ProvenConfig
    weight: float
    seconds: float


def find_proven(
    store: Store,
    past: Sequence[PastStudy],
    similarities: Mapping[str, float],
    newcomer: Newcomer,
) -> list[ProvenConfig]:
    """The members of the models of its kin, heaviest first, as many as its budget may try.

    `similarities` are the tables', by fingerprint. A member's weight is its share of the vote
    times the similarity, summed over the models that have it; of each table only the newest
    model counts. A study that was broken off, and has none, gives the best trial of each learner.
    """
    kin = _kin(past, similarities, newcomer)
    members, names = _newest_members(store, kin), task_names(past)
    found: dict[tuple[str, str], _Candidate] = {}
    for one, trial, share in members:
        similarity = similarities[one.table.fingerprint]
        seconds = trial.duration_s * newcomer.n_rows / max(1, one.table.n_rows)
        name = names[one.study.id]
        proven = ProvenConfig(trial.learner, trial.config, name, trial.number, share)
        key = trial.learner, repr(sorted(trial.config.items()))
        known = found.get(key)
        found[key] = (
            _Candidate(proven, share * similarity, seconds)
            if known is None
            else replace(known, weight=known.weight + share * similarity)
        )
    ordered = sorted(found.values(), key=lambda one: -one.weight)
    return [one.proven for one in _affordable(ordered, newcomer.budget_s)][:MOST_PROVEN]


def find_network(
    store: Store,
    past: Sequence[PastStudy],
    similarities: Mapping[str, float],
    newcomer: Newcomer,
) -> KinNetwork | None:
    """The newest network of its nearest kin that has one."""
    kin = {one.table.fingerprint: one.table for one in _kin(past, similarities, newcomer)}
    studies = set(_ids(past))
    networks = store.remembered.networks(list(kin)) if kin else {}
    for mark in sorted(networks, key=lambda mark: -similarities[mark]):
        for record in networks[mark]:
            if record.study_id in studies:
                return KinNetwork(record, kin[mark].name)
    return None


def _kin(
    past: Sequence[PastStudy], similarities: Mapping[str, float], newcomer: Newcomer
) -> list[PastStudy]:
    return [
        one
        for one in past
        if similarities.get(one.table.fingerprint, 0.0) >= KIN and one.table.kind == newcomer.kind
    ]


def _newest_members(
    store: Store, kin: Sequence[PastStudy]
) -> Iterator[tuple[PastStudy, TrialRecord, float]]:
    """Members with their shares, of the newest study of each table that has any."""
    models = {model.study_id: model for model in reversed(store.models(*_ids(kin)))}
    by_table: dict[str, list[PastStudy]] = defaultdict(list)
    for one in kin:  # the oldest first
        studies = by_table[one.table.fingerprint]
        # what other tools found has no model, and takes the place of none
        studies.insert(len(studies) if is_foreign(one.study) else 0, one)
    for studies in by_table.values():
        for one in studies:
            model = models.get(one.study.id)
            trials = {trial.number: trial for trial in one.trials}
            found = [
                (one, trials[number], share)
                for member in (() if model is None else model.members)
                if (number := int(str(member["trial"]))) in trials
                and (share := float(str(member["weight"]))) > 0
            ] or [(one, trial, share) for trial, share in _best_of_learners(one.trials)]
            if found:
                yield from found
                break


def _best_of_learners(trials: Iterable[TrialRecord]) -> list[tuple[TrialRecord, float]]:
    """Each learner's best trial, the best weighing most."""
    best: dict[str, TrialRecord] = {}
    for trial in trials:
        if trial.state is TrialState.COMPLETE and trial.loss is not None:
            known = best.get(trial.learner)
            if known is None or known.loss is None or trial.loss < known.loss:
                best[trial.learner] = trial
    ordered = sorted(best.values(), key=lambda trial: trial.loss or 0.0)
    total = sum(1.0 / place for place in range(1, len(ordered) + 1))
    return [(trial, 1.0 / place / total) for place, trial in enumerate(ordered, 1)]


def _affordable(ordered: Iterable[_Candidate], budget_s: float | None) -> Iterator[_Candidate]:
    """Those that the budget has time for, in order."""
    if budget_s is None:
        yield from ordered
        return
    left_s = _BUDGET_SHARE * budget_s
    for one in ordered:
        if one.seconds <= min(left_s, _LONGEST_SHARE * budget_s):
            left_s -= one.seconds
            yield one


def _ids(studies: Iterable[PastStudy]) -> list[str]:
    return [one.study.id for one in studies]
