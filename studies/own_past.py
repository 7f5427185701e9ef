"""What a new study takes from the user's own ones: those of the tables most like its own.

It is learned at once, from the store as it is: nothing needs to be prepared after a study.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autometa.errors import StoreError
from autometa.priors._base import ProposedConfig
from autometa.search.explanations import Explanation
from autometa.search.histories._base import History
from autometa.search.proven_configs import ProvenConfig
from autometa.search.responses._base import Responses
from autometa.search.responses.attention import Attention
from autometa.search.responses.extending import extend
from autometa.search.shipped import shipped_responses
from autometa.storage import Store, StudyRecord
from autometa.studies.histories import history_of
from autometa.studies.kept_networks import KinNetwork
from autometa.studies.kin import Newcomer, find_network, find_proven
from autometa.studies.options import TuneOptions
from autometa.tables.description import DESCRIPTION_VERSION

NONE = "none"
"""In place of a study or a store: only what comes with us."""

MOST_TABLES = 24
"""Tables of the store that a study learns from: the most similar ones."""


@dataclass(frozen=True, slots=True)
class OwnPast:
    """Past tasks of the user's store, and how similar their tables are, by name.

    If any is its kin, `proven` are the configs that models of such tables are made of, and
    `network` is one that was trained on the nearest.
    """

    history: History = field(default_factory=History)
    similarities: Mapping[str, float] = field(default_factory=dict[str, float])
    proven: tuple[ProvenConfig, ...] = ()
    network: KinNetwork | None = None

    def extend(self, responses: Responses) -> Responses:
        """The responses with those of these tasks."""
        return extend(responses, self.history) if self.history.tasks else responses


def find_own_past(
    store: Store,
    newcomer: Newcomer,
    responses: Responses,
    *,
    study: str | None = None,
    without_studies: frozenset[str] = frozenset(),
) -> OwnPast:
    """The past of tables like the newcomer, or one `study`'s; empty if there is none.

    Similarity is 1 for a table just like it, and falls to 1 / e where all traits differ by their
    deviation over the tables of `responses`.
    """
    traits = store.traits(DESCRIPTION_VERSION)
    of_study = None if study is None else store.find_study(study).table
    if not traits.fingerprints or of_study not in (None, *traits.fingerprints):
        return OwnPast()
    attention, description = Attention.learn(responses), newcomer.description
    distances = attention.distances_to(description, traits.names, traits.values)
    if of_study is None:
        nearest = np.argsort(distances, kind="stable")[:MOST_TABLES].tolist()
    else:
        nearest = [traits.fingerprints.index(of_study)]
    near = [traits.fingerprints[at] for at in nearest if np.isfinite(distances[at])]
    found = [
        past
        for past in store.past_studies(has_curves=False, of_tables=near)
        if past.study.id not in without_studies and study in (None, past.study.id)
    ]
    history = history_of(found, f"the store {store.shown_url}")
    tasks = history.tasks
    far = attention.distances(description, [task.description for task in tasks])
    by_name = {task.name: float(np.exp(-far[at])) for at, task in enumerate(tasks)}
    by_mark = {traits.fingerprints[at]: float(np.exp(-distances[at])) for at in nearest}
    proven = find_proven(store, found, by_mark, newcomer)
    return OwnPast(history, by_name, tuple(proven), find_network(store, found, by_mark, newcomer))


def choose_own_past(
    options: TuneOptions,
    store: Store,
    newcomer: Newcomer,
    without_studies: frozenset[str],
) -> OwnPast:
    """The past that the options name: of the study's own store, another one, one study, or none.

    Where trials alone are the budget runs of one seed are equal, which a store that grows would
    not let them be: then there is none that is not asked for.

    Raises `StoreError` if what they name is not there.
    """
    responses, wanted = shipped_responses(), options.warm_start
    if responses is None or wanted == NONE or (wanted is None and options.is_counted):
        return OwnPast()
    if wanted is None:
        return find_own_past(store, newcomer, responses, without_studies=without_studies)
    named = find_source(wanted, store)
    if isinstance(named, Path | str):
        with Store.open(named, is_made=False) as other:
            return find_own_past(other, newcomer, responses, without_studies=without_studies)
    return find_own_past(
        store, newcomer, responses, study=named.id, without_studies=without_studies
    )


def find_source(wanted: str, store: Store) -> StudyRecord | Path | str:
    """A study of the store by the start of its id, or the place of another store.

    Raises `StoreError` if it is neither.
    """
    if "://" in wanted:
        return wanted
    path = Path(wanted).expanduser()
    if path.exists():
        return path
    try:
        return store.find_study(wanted)
    except StoreError as error:
        raise StoreError(
            f"--from {wanted} is neither a store that is there nor a study of this one: {error}"
        ) from error


def said_of(first: Sequence[ProposedConfig], own: OwnPast) -> str | None:
    """In words, whose configs the first ones are, each being of the table that spoke most for it.

    None if none of them is of the past.
    """
    names = [
        max(shares, key=lambda name: shares[name])
        for one in first
        if (shares := Explanation.from_attribute(one.why).tasks if one.why else {})
    ]
    if not names:
        return None
    counts = Counter(name for name in names if name in own.similarities)
    parts = [
        f"{n} from {name} (similarity {own.similarities[name]:.2f})"
        for name, n in counts.most_common()
    ]
    if n_shipped := len(names) - counts.total():
        parts.append(f"{n_shipped} from tables that come with us")
    return f"{len(names)} first configs: {', '.join(parts)}"
