"""Files of histories: what comes back, to which error, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from autometa.errors import HistoryError
from autometa.search.histories._base import Curve, History, PastTask
from autometa.search.histories.cards import HistoryCard
from autometa.search.histories.files import read_history, write_history
from autometa.search.histories.rows import from_rows, thin_curve, to_rows
from autometa.search.histories.shipped import SHIPPED, shipped_history
from autometa.spaces import Config, Scalar

CONFIGS: tuple[Config, ...] = (
    {"learner": "network", "lr": 0.1 + 0.2, "depth": 3, "kind": "a", "mixed": None},
    {"learner": "forest", "depth": 2**60, "flag": True, "mixed": "None"},
    {"learner": "forest", "lr": 1, "kind": "ü\n\0", "mixed": 7},
)
DISTRIBUTIONS = {
    "learner": CategoricalDistribution(["forest", "network"]),
    "lr": FloatDistribution(1e-3, 1.0, log=True),
    "depth": IntDistribution(1, 2**60),
    "kind": CategoricalDistribution(["a", "ü\n\0"]),
    "flag": CategoricalDistribution([False, True]),
    "mixed": CategoricalDistribution([None, "None", 7]),
}


def curve(n: int) -> Curve:
    steps = np.arange(1, n + 1, dtype=np.float64)
    return Curve(steps, 1.0 / (steps + np.pi))


@pytest.fixture
def history() -> History:
    """A task with everything, one with nothing but losses, and one without evaluations."""
    whole = PastTask(
        "whole",
        CONFIGS,
        np.array([0.1, np.nan, 1e300]),
        np.array([2.5, np.nan, 1.0]),
        {"log_rows": 5.0625, "share": 0.1},
        "kin",
        (curve(1), None, curve(300)),
    )
    bare = PastTask("bare", CONFIGS[::-1], np.array([1.0, 2.0, 3.0]))
    return History((whole, bare, PastTask("none", (), np.zeros(0))), DISTRIBUTIONS, "a test")


@pytest.fixture
def card(history: History) -> HistoryCard:
    return HistoryCard.of(
        history, "small", half="design", n_rows=600, seed=0, made_on="2026-11-30"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.parquet"


def types(config: Config) -> dict[str, type]:
    return {name: type(value) for name, value in config.items() if name != "lr"}


def test_a_history_comes_back(history: History, card: HistoryCard, path: Path) -> None:
    """Configs to the last bit and type, numbers to float32, and tasks that teach something."""
    write_history(history, path, card)
    found, its_card = read_history(path)
    assert its_card == card
    assert found.source == "small"
    assert found.distributions == history.distributions
    whole, bare = found.tasks
    assert (whole.name, whole.family) == ("whole", "kin")
    for before, after in zip(history.tasks[:2], found.tasks, strict=True):
        assert list(map(dict, after.configs)) == list(map(dict, before.configs))
        assert list(map(types, after.configs)) == list(map(types, before.configs))
    # 1e300 is larger than any float32: still the worst, and not failed
    np.testing.assert_allclose(whole.losses, [0.1, np.nan, 3.4e38], rtol=2**-24)
    assert whole.costs_s is not None
    np.testing.assert_array_equal(whole.costs_s, [2.5, np.nan, 1.0])
    assert whole.description == {"log_rows": 5.0625, "share": pytest.approx(0.1, rel=2**-24)}
    short, none, long = whole.curves
    assert none is None
    assert short is not None
    assert short.steps.tolist() == [1.0]
    assert long is not None
    np.testing.assert_allclose(long.losses, 1 / (long.steps + np.pi), rtol=2**-12)
    assert (bare.costs_s, bare.curves, dict(bare.description), bare.family) == (None, (), {}, "")


def test_an_empty_history_comes_back(path: Path) -> None:
    """A history of no tasks is a file too."""
    write_history(History(), path, HistoryCard.of(History(), "nothing"))
    assert read_history(path)[0].tasks == ()


def test_equal_histories_give_equal_bytes(history: History, card: HistoryCard, path: Path) -> None:
    """The file follows from history and card alone; written again it stays the same."""
    write_history(history, path, card)
    first = path.read_bytes()
    write_history(history, path, card)
    assert path.read_bytes() == first
    again, its_card = read_history(path)
    write_history(replace(again, source=history.source), path, its_card)
    assert path.read_bytes() == first


def test_the_file_is_plain_parquet(history: History, card: HistoryCard, path: Path) -> None:
    """Any tool reads it: one evaluation a row, a column for each parameter and trait."""
    write_history(history, path, card)
    frame = pl.read_parquet(path)
    assert frame["name"].to_list() == ["whole"] * 3 + ["bare"] * 3
    assert frame["param:depth"].to_list() == [3, 2**60, None, None, 2**60, 3]
    assert frame["param:mixed"].to_list()[:3] == ["null", '"None"', "7"]
    assert {"trait:log_rows", "loss", "cost_s", "steps", "losses"} <= set(frame.columns)


def test_thinned_curves_keep_the_same_steps_however_long() -> None:
    """About four points an octave, with the first and the last, so that curves can be compared."""
    short, long = thin_curve(curve(100)), thin_curve(curve(1000))
    assert long.steps[:5].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert (
        short.steps[:-1].tolist()
        == [step for step in long.steps if step < 100][: len(short.steps) - 1]
    )
    assert (short.steps[-1], long.steps[-1]) == (100.0, 1000.0)
    assert np.diff(np.log2(long.steps[8:-1])).max() < 0.4
    assert len(long.steps) < 40


def test_curves_may_begin_at_zero_and_diverge() -> None:
    """Step 0 is a point of its own; a loss that is no number stays so, and none is infinite."""
    given_one = Curve(np.array([-1.0, 0.0, 0.5, 1.0]), np.array([np.nan, np.inf, 3e38, -1e300]))
    found = thin_curve(given_one)
    np.testing.assert_array_equal(found.steps, given_one.steps)
    assert np.isnan(found.losses[:2]).all()
    np.testing.assert_allclose(found.losses[2:], [3e38, -3.4e38], rtol=2**-12)


SCALARS: st.SearchStrategy[Scalar] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS), min_size=1, max_size=5))
def test_whatever_a_config_holds_comes_back(configs: list[dict[str, Any]]) -> None:
    """Values keep their type, in columns of mixed types and of numbers too large for any."""
    task = PastTask("t", tuple(configs), np.zeros(len(configs)))
    (found,) = from_rows(to_rows(History((task,))), {}, "test").tasks
    assert [repr(dict(config)) for config in found.configs] == [
        repr({name: config[name] for name in _order(configs) if name in config})
        for config in configs
    ]


def _order(configs: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for config in configs for name in config))


def test_damage_is_found_wherever_it_is(history: History, card: HistoryCard, path: Path) -> None:
    """With any byte changed, or the end lost, the file is refused, or what it says is the same."""
    write_history(history, path, card)
    whole = path.read_bytes()
    same = repr(read_history(path))
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with suppress(HistoryError):
            assert repr(read_history(path)) == same
    for n in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:n])
        with pytest.raises(HistoryError):
            read_history(path)


def test_other_files_are_refused(path: Path, tmp_path: Path) -> None:
    """A file that is not there, a text, a Parquet of something else: each is said."""
    with pytest.raises(HistoryError, match="no history to read"):
        read_history(tmp_path / "absent.parquet")
    path.write_text("name,loss\n")
    with pytest.raises(HistoryError, match="is no history"):
        read_history(path)
    pl.DataFrame({"loss": [1.0]}).write_parquet(path)
    with pytest.raises(HistoryError, match="is no history"):
        read_history(path)
    with pytest.raises(HistoryError, match="cannot be written"):
        write_history(History(), tmp_path / "no" / "folder.parquet", HistoryCard.of(History(), ""))


def test_later_versions_are_refused(path: Path, card: HistoryCard) -> None:
    """A file of a format that is not known yet is not guessed at."""
    facts = {"version": 2, "card": asdict(card), "distributions": {}, "digest": ""}
    metadata = {"autometa_history": json.dumps(facts)}
    pl.DataFrame({"loss": [1.0]}).write_parquet(path, metadata=metadata)
    with pytest.raises(HistoryError, match="version 2"):
        read_history(path)


def test_the_card_says_what_a_history_holds(history: History, card: HistoryCard) -> None:
    """Tasks, families and learners are counted; a task without family is its own."""
    assert (card.n_tasks, card.n_evaluations) == (3, 6)
    assert card.families == ("bare", "kin", "none")
    assert card.learners == ("forest", "network")
    assert HistoryCard.of_facts(json.loads(json.dumps(asdict(card)))) == card
    with pytest.raises(HistoryError, match="other entries"):
        HistoryCard.of_facts({"name": "x"})


def test_the_shipped_history_is_whole_or_empty() -> None:
    """Read once in a process; there is none only if the package has no file of it."""
    shipped = shipped_history()
    assert shipped is shipped_history()
    assert bool(shipped.tasks) == SHIPPED.exists()
