"""`autometa prior distill`: from the store's trials to a history, and what is learned from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from autometa.errors import HistoryError, OptionError
from autometa.search.curves.learning import learn_curve_model
from autometa.search.histories._base import History, PastTask, merge
from autometa.search.histories.cards import HistoryCard
from autometa.search.histories.files import read_history, write_history
from autometa.search.judges import Judges, write_judges
from autometa.search.responses.learning import is_telling, learn_responses
from autometa.search.responses.saving import write_responses
from autometa.search.stoppers.learning import learn_gain_model, traces_of
from autometa.storage import Store
from autometa.storage.past_studies import PastStudy
from autometa.studies.histories import history_of
from autometa.studies.table_folders import HALVES, ListedTable, read_manifest

_LEARNED = (".safetensors", ".json")
_SOURCE = "trials of autometa's learners"


class DistillWords(TypedDict):
    """What may be asked of a distillation, in the words of the command line."""

    store: str | None
    output: Path
    name: str | None
    manifest: Path | None
    half: str
    base: Path | None


@dataclass(frozen=True, slots=True)
class DistillOptions:
    """Which tables of the store, and where to write them.

    `manifest` says of what family the tables of its slugs are, and so of which `half`. `name` is
    the history's, by default its file's. `base` is an earlier history that is added to.
    """

    output: Path
    store: str | None = None
    name: str | None = None
    manifest: Path | None = None
    half: str = "all"
    base: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be distilled."""
        if self.half not in HALVES:
            raise OptionError(f"half {self.half!r} is unknown: give one of {', '.join(HALVES)}")
        if self.half != "all" and self.manifest is None:
            raise OptionError(f"--half {self.half} needs --manifest: it says which tables are kin")


@dataclass(frozen=True, slots=True)
class Distilled:
    """What was written; `size_mb` is all files'. Few trials teach nothing: `learned` is empty.

    `left_out` names the store's tables that are not of the half.
    """

    card: HistoryCard
    output: Path
    learned: tuple[Path, ...]
    size_mb: float
    left_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The same in words."""
        out = f"; {len(self.left_out)} tables left out" if self.left_out else ""
        names = " and ".join(path.name for path in self.learned)
        learned = f", what they teach in {names}" if names else ""
        return (
            f"{self.card.n_evaluations:,} evaluations on {self.card.n_tasks} tasks in "
            f"{self.output}{learned} ({self.size_mb:.2f} MB){out}"
        )


def distill_history(options: DistillOptions) -> Distilled:
    """Write the history of the store's tables, or of one half of them, to a file.

    Beside it goes what is learned from it, under the same name: responses in `.safetensors`,
    models of curves and gains in `.json`.

    Raises `AutometaError` for what the user can mend: no store, no table of the half.
    """
    listed = _listed(options.manifest)
    with Store.open(options.store, is_made=False) as store:
        found = list(store.past_studies())
    names = list(dict.fromkeys(past.table.name for past in found))
    wanted = {name for name in names if _is_of(options.half, listed.get(name))}
    chosen = [past for past in found if past.table.name in wanted]
    history = _with_families(history_of(chosen, _SOURCE), listed)
    if not history.tasks:
        raise OptionError(
            f"the store has no trials on tables of half {options.half!r}: "
            "`autometa prior collect` makes them"
        )
    card = _card(history, chosen, options)
    if options.base is not None:
        history, card = _added_to(options.base, history, card)
    write_history(history, options.output, card)
    written = [options.output]
    if is_telling(history):
        responses, judges = (options.output.with_suffix(end) for end in _LEARNED)
        write_responses(learn_responses(history), responses)
        gains = learn_gain_model(traces_of(history))
        write_judges(Judges(learn_curve_model(history), gains), judges)
        written += [responses, judges]
    size_mb = sum(path.stat().st_size for path in written) / 1e6
    left_out = tuple(name for name in names if name not in wanted)
    return Distilled(card, options.output, tuple(written[1:]), size_mb, left_out)


def _added_to(path: Path, history: History, card: HistoryCard) -> tuple[History, HistoryCard]:
    """Both together. Raises `HistoryError` if they were collected with other options."""
    base, known = read_history(path)
    if (known.n_rows, known.seed, known.half) != (card.n_rows, card.seed, card.half):
        raise HistoryError(
            f"{path} is of at most {known.n_rows} rows, seed {known.seed} and half {known.half}, "
            f"the store's tables are of {card.n_rows}, {card.seed} and {card.half}: losses of one "
            "table would not be comparable; collect with the same options"
        )
    both = replace(merge((base, history)), source=history.source)
    return both, HistoryCard.of(
        both, card.name, half=card.half, n_rows=card.n_rows, seed=card.seed
    )


def _listed(manifest: Path | None) -> Mapping[str, ListedTable]:
    return {} if manifest is None else {one.slug: one for one in read_manifest(manifest)}


def _is_of(half: str, one: ListedTable | None) -> bool:
    """Whether the table is of the half; of one that is not listed nobody knows."""
    return half == "all" or (one is not None and one.half == half)


def _with_families(history: History, listed: Mapping[str, ListedTable]) -> History:
    """The history with the manifest's families, and without tasks that order no configs."""
    tasks = tuple(_with_family(task, listed) for task in history.tasks if task.n_known > 1)
    return replace(history, tasks=tasks)


def _with_family(task: PastTask, listed: Mapping[str, ListedTable]) -> PastTask:
    # our store's tasks are kin by the name of their table
    one = listed.get(task.family)
    return task if one is None else replace(task, family=one.family)


def _card(history: History, chosen: Sequence[PastStudy], options: DistillOptions) -> HistoryCard:
    seeds = {past.study.seed for past in chosen}
    return HistoryCard.of(
        history,
        options.name or options.output.stem,
        half=options.half,
        n_rows=max(past.table.n_rows for past in chosen),
        seed=seeds.pop() if len(seeds) == 1 else None,
    )
