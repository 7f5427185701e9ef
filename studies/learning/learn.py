"""`prior learn`: a prior of one's own from the tables of a store, put to use if it is better."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from autometa.errors import OptionError
from autometa.metalearning.training import MetaProgress
from autometa.priors.proposer.checkpoint import Prior, load_prior
from autometa.priors.proposer.proposer import Proposer
from autometa.storage import Store
from autometa.studies.learning.background import LEARNED_FROM, step_back
from autometa.studies.learning.candidates import Candidates, part_in_folds
from autometa.studies.learning.embedding import embed_tables
from autometa.studies.learning.gates import Verdict, judge_own, judge_synthetic
from autometa.studies.learning.judges import (
    JudgedTable,
    can_be_told,
    judged_table,
    losses_of,
    synthetic_tables,
)
from autometa.studies.learning.own_tables import OwnTable, read_own_tables, rows_not_in
from autometa.studies.learning.plans import Plan, open_plan
from autometa.studies.learning.recipes import LearnRecipe
from autometa.studies.learning.results import Learned, Origin, keep_prior, put_to_use
from autometa.studies.learning.turns import (
    FEWEST_TABLES,
    LOOK_EVERY_S,
    LearningPausedError,
    Turn,
    only_learner,
)
from autometa.studies.priors_in_use import (
    NETWORKS,
    digest_in_use,
    file_of,
    learning_folder,
    runs_folder,
)
from autometa.studies.progress import Listener, Note, ignore
from autometa.studies.reports.figures import counted


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """What to learn from, and for how long: a run whose time is used up can be gone on with.

    In the background it has the lowest priority and one core, and gives way to studies.
    """

    store: str | Path | None = None
    time_s: float | None = None
    seed: int = 0
    is_background: bool = False
    recipe: LearnRecipe = field(default_factory=LearnRecipe)

    def __post_init__(self) -> None:
        """Refuse what cannot be learned by."""
        if self.seed < 0:
            raise OptionError(f"--seed is {self.seed}: give 0 or more")


def learn_prior(
    options: LearnOptions,
    listen: Listener = ignore,
    watch: Callable[[str, MetaProgress], None] = lambda name, progress: None,
) -> Learned:
    """Learn from the store's tables, judge what was learned, and put it to use if it passes.

    What Ctrl-C, the time or a study breaks off goes on with the next call. Raises
    `StoreError` without a store, and while another process learns from it.
    """
    with (
        Store.open(options.store, is_made=False) as store,
        only_learner(learning_folder(store)),
    ):
        if options.is_background:
            step_back(store, LOOK_EVERY_S)
        turn = Turn(store, options.time_s, gives_way=options.is_background)
        try:
            return _Learning(options, store, turn, listen, watch).run()
        except LearningPausedError as paused:
            said = f"{paused}: `autometa prior learn` goes on from here"
            return Learned(said, is_paused=True)


@dataclass
class _Learning:
    """One run; `run` is its only use."""

    options: LearnOptions
    store: Store
    turn: Turn
    listen: Listener
    watch: Callable[[str, MetaProgress], None]
    begun: float = field(default_factory=time.monotonic)

    def run(self) -> Learned:
        """From the store's rows to a prior, or to why there is none."""
        own = self._read()
        if (too_few := self._too_few(len(own), len(own), "have rows in the store")) is not None:
            return too_few
        plan = self._open_plan(own)
        own = [one for one in own if one.fingerprint in plan.tables]
        told = [one for one in own if self._is_told(one)]
        self._note_untold([one for one in own if one not in told])
        if (few := self._too_few(len(told), len(own), "can be told anything of")) is not None:
            return self._ended(few, plan, own)
        parts = part_in_folds(told, self.recipe.n_folds, self.options.seed)
        judged = self._judged(parts)
        if (few := self._too_few(sum(map(len, judged)), len(own), "can be judged")) is not None:
            return self._ended(few, plan, own)
        verdict, proposer = self._train_and_judge(plan, parts, judged)
        origin = Origin(
            parent=self.parent,
            digest=self.in_use_digest,
            tables=told,
            how=self.recipe.adjustment(len(told)),
            seed=self.options.seed,
            seconds=time.monotonic() - self.begun,
        )
        record = keep_prior(self.store, proposer, origin, verdict)
        return self._ended(put_to_use(self.store, record, verdict), plan, own)

    @property
    def recipe(self) -> LearnRecipe:
        """How to learn."""
        return self.options.recipe

    @cached_property
    def in_use_digest(self) -> str:
        """The prior's that all begin with, and are judged beside."""
        return digest_in_use(self.store)

    @cached_property
    def parent(self) -> Prior:
        """The prior in use."""
        return load_prior(file_of(self.store.url, None))

    def _read(self) -> list[OwnTable]:
        def say(line: str) -> None:
            self.listen(Note(line))

        return read_own_tables(self.store, say)

    def _open_plan(self, own: Sequence[OwnTable]) -> Plan:
        marks = {one.fingerprint: _mark_of(self.store, one.fingerprint) for one in own}
        facts = {
            "begins with": self.in_use_digest,
            "seed": self.options.seed,
            "recipe": self.recipe.facts(),
        }
        plan = open_plan(runs_folder(self.store), facts, marks)
        if plan.is_begun:
            self.listen(Note("an earlier run was broken off, and goes on"))
        return plan

    def _too_few(self, n: int, n_in_all: int, what: str) -> Learned | None:
        if n >= FEWEST_TABLES:
            return None
        of_all = f" of {n_in_all}" if n != n_in_all else ""
        return Learned(
            f"nothing was learned: {n}{of_all} tables {what}, and {FEWEST_TABLES} are needed"
        )

    def _is_told(self, own: OwnTable) -> bool:
        self.turn.check()
        every = torch.arange(len(own.table)).numpy()
        judged = judged_table(own, every, self.parent.proposer.cells, 1)
        return judged is not None and can_be_told(self.parent.proposer, judged)

    def _note_untold(self, untold: Sequence[OwnTable]) -> None:
        if untold:
            names = ", ".join(sorted(own.record.name for own in untold)[:5])
            more = f" and {len(untold) - 5} more" if len(untold) > 5 else ""
            self.listen(
                Note(
                    f"{counted(len(untold), 'table')} left out, whose target does not follow from "
                    f"their columns as far as the prior in use can tell: {names}{more}"
                )
            )

    def _judged(self, parts: Sequence[Sequence[OwnTable]]) -> list[list[JudgedTable]]:
        """The tables of each part, on rows that no table of another part has."""
        found: list[list[JudgedTable]] = []
        for part in parts:
            others = [own for other in parts if other is not part for own in other]
            tables: list[JudgedTable] = []
            for own in part:
                self.turn.check()
                rows = rows_not_in(own, others)
                cells = self.parent.proposer.cells
                judged = judged_table(own, rows, cells, self.recipe.n_draws)
                tables += [] if judged is None else [judged]
            found.append(tables)
        return found

    def _train_and_judge(
        self,
        plan: Plan,
        parts: Sequence[Sequence[OwnTable]],
        judged: Sequence[Sequence[JudgedTable]],
    ) -> tuple[Verdict, Proposer]:
        """The verdict on priors trained so, and the one that was trained on all tables."""
        every = [table for part in judged for table in part]
        in_use = self._measure(plan, "in use", lambda: self.parent.proposer, every)
        candidates = Candidates.of(
            self.parent.proposer,
            parts,
            self.recipe,
            self.options.seed,
            plan.folder,
            self.turn.check,
        )
        new: dict[str, float] = {}
        for place, part in enumerate(judged):

            def train(without: int = place) -> Proposer:
                return candidates.train(without, self._heard)

            new |= self._measure(plan, f"fold {place}", train, part)
        proposer = candidates.train(None, self._heard)
        synthetic = synthetic_tables(proposer.cells, self.recipe.n_synthetic)

        def on_synthetic(name: str, one: Proposer) -> dict[str, float]:
            return self._measure(plan, f"{name}, synthetic", lambda: one, synthetic)

        of_new = on_synthetic("new", proposer)
        of_shipped = self._shipped(on_synthetic)
        verdict = Verdict(
            judge_own(in_use, new, {table.name: table.family for table in every}),
            judge_synthetic(on_synthetic("in use", self.parent.proposer), of_new),
            None if of_shipped is None else judge_synthetic(of_shipped, of_new),
        )
        return verdict, proposer

    def _shipped(
        self, measure: Callable[[str, Proposer], dict[str, float]]
    ) -> dict[str, float] | None:
        if self.store.priors.in_use(NETWORKS) is None:
            return None
        shipped = load_prior().proposer
        same = shipped.cells == self.parent.proposer.cells
        return measure("shipped", shipped) if same else None

    def _measure(
        self,
        plan: Plan,
        name: str,
        make: Callable[[], Proposer],
        tables: Sequence[JudgedTable],
    ) -> dict[str, float]:
        """Losses, unless an earlier run has measured them."""
        known = plan.measured(name)
        if known is None:
            proposer = make()
            self.listen(Note(f"judging: {name}"))
            known = losses_of(proposer, tables, self.turn.check)
            plan.keep(name, known)
        return known

    def _heard(self, name: str, progress: MetaProgress) -> None:
        self.watch(name, progress)
        self.turn.check()

    def _ended(self, learned: Learned, plan: Plan, own: Sequence[OwnTable]) -> Learned:
        """Remember how much was learned from, embed the tables, and tidy up."""
        self.store.remembered.choose(LEARNED_FROM, len(own))
        if learned.prior is not None:
            in_use = load_prior(file_of(self.store.url, None)).proposer
            embed_tables(self.store, own, in_use, digest_in_use(self.store))
        plan.close()
        return learned


def _mark_of(store: Store, fingerprint: str) -> str:
    """What tells the rows kept of a table from others of it."""
    sample = store.remembered.sample(fingerprint)
    return "" if sample is None else hashlib.sha256(sample.content).hexdigest()[:16]
