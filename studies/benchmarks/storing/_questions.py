"""How long the questions take that are asked of a large store, and one trial's write.

Each is asked several times in one process, with the database's pages in memory as they are after
the first; the median counts. `cpu_ms` is what this process worked: on a machine that others use
too it tells more than what the clock says.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from autometa.errors import StoreError
from autometa.records import TrialState
from autometa.search.shipped import shipped_responses
from autometa.storage import NewStudy, Store, StudySummary
from autometa.storage.filters import Filters
from autometa.storage.questions import Order
from autometa.storage.setting_filters import SettingFilter
from autometa.studies.benchmarks.storing._filling import made_trial
from autometa.studies.kin import Newcomer
from autometa.studies.own_past import find_own_past
from autometa.studies.similar import most_similar

_LISTING_MS, _SIMILAR_MS, _WRITE_MS, _OPENING_MS = 200.0, 300.0, 5.0, 100.0


@dataclass(frozen=True, slots=True)
class Question:
    """Something asked of a store, and the milliseconds it may take; None if there is no goal."""

    name: str
    goal_ms: float | None
    ask: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Answered:
    """The medians of a question."""

    name: str
    ms: float
    cpu_ms: float
    goal_ms: float | None

    @property
    def is_met(self) -> bool:
        """Whether it took no longer than it may."""
        return self.goal_ms is None or self.ms <= self.goal_ms

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "question": self.name,
            "ms": self.ms,
            "cpu_ms": self.cpu_ms,
            "goal_ms": self.goal_ms,
            "is_met": self.is_met,
        }


def questions_to(store: Store, place: str) -> list[Question]:
    """What is measured. A listing that is added to the store gets a line here."""
    middle = store.studies(limit=200)[-1]
    newcomer = _newcomer(store, middle.table)
    responses = shipped_responses()
    writes = _Writes(store, middle)
    complete = (TrialState.COMPLETE,)
    listings: Mapping[str, Callable[[], object]] = {
        "the newest 20 studies": lambda: store.studies(limit=20),
        "studies of one table": lambda: store.studies(table=middle.table_name),
        "studies of one fingerprint": lambda: store.studies(table=middle.table[:12]),
        "the 200 studies since a day": lambda: store.studies(since=middle.created_at),
        "a study by its id's start": lambda: store.find_study(middle.id[:6]),
        "trials of a study": lambda: store.trials(middle.id),
        "complete trials of a study": lambda: store.trials(middle.id, states=complete),
    }
    filtered = _filtered(store, middle)
    questions = [
        Question(name, _LISTING_MS, ask) for name, ask in (*listings.items(), *filtered.items())
    ]
    # every row of a large store: for programs, and nobody waits for it at a terminal
    questions.append(Question("all studies", None, store.studies))
    questions.append(Question("all tables", None, store.tables))
    questions.append(
        Question(
            "similar tables", _SIMILAR_MS, lambda: most_similar(store, newcomer.description, 10)
        )
    )
    if responses is not None:
        questions.append(
            Question(
                "the warm start of a new study",
                _SIMILAR_MS,
                lambda: find_own_past(store, newcomer, responses),
            )
        )
    return [
        *questions,
        Question("one trial's write", _WRITE_MS, writes.write_one),
        Question("opening", _OPENING_MS, lambda: Store.open(place).close()),
    ]


def answer(question: Question, n_times: int) -> Answered:
    """Ask, after once that does not count."""
    question.ask()
    times, cpu_times = [], []
    for _ in range(n_times):
        start, cpu_start = time.perf_counter(), time.process_time()
        question.ask()
        cpu_times.append(time.process_time() - cpu_start)
        times.append(time.perf_counter() - start)
    ms, cpu_ms = (round(1e3 * statistics.median(one), 2) for one in (times, cpu_times))
    return Answered(question.name, ms, cpu_ms, question.goal_ms)


def _filtered(store: Store, study: StudySummary) -> Mapping[str, Callable[[], object]]:
    """Lists over all studies, narrowed and sorted."""
    asked = store.questions
    newest = Order("started", is_descending=True)
    best = Order("loss")
    networks = Filters(learners=("network",), metrics=("log_loss",))
    slow = Filters(settings=(SettingFilter("learning_rate", "<", 0.01),))
    return {
        "the newest studies with networks": lambda: asked.studies(networks, newest, 20),
        "the studies of a pattern of tables": lambda: asked.studies(
            Filters(table="table 99*"), newest, 20
        ),
        "the best trials of networks": lambda: asked.trials(networks, best, 20),
        "the best trials of a setting": lambda: asked.trials(slow, best, 20),
        "the trials of one table": lambda: asked.trials(Filters(table=study.table_name), best, 20),
        "the newest tables": lambda: asked.tables(
            Filters(), Order("first", is_descending=True), 20
        ),
    }


def _newcomer(store: Store, fingerprint: str) -> Newcomer:
    """A table that is like one of the store, and not the same."""
    known = store.find_table(fingerprint)
    if known is None:  # it was just listed
        raise StoreError(f"the store has no table {fingerprint!r}")
    moved = {trait: 1.01 * value for trait, value in known.description.items()}
    return Newcomer(moved, known.kind, known.n_rows, 60.0)


class _Writes:
    """A study that gets one trial more with each call."""

    def __init__(self, store: Store, like: StudySummary) -> None:
        self._store = store
        new = NewStudy(like.table, "writes", "w" * 64, "log_loss", 0, "3-fold")
        self._study_id = store.start_study(new).id
        self._numbers = count()
        self._like = store.trials(like.id)[0]

    def write_one(self) -> None:
        """Add a trial."""
        known = self._like
        trial = made_trial(
            next(self._numbers), (known.learner, known.config), TrialState.COMPLETE, 0.5
        )
        self._store.add_trial(self._study_id, trial)
