"""A run that was broken off is gone on with, as long as it is of the same things."""

from __future__ import annotations

import math
from pathlib import Path

from autometa.studies.learning.plans import forget_plans, has_plan, open_plan

FACTS = {"begins with": "abc", "seed": 0, "recipe": {"n_steps": (0, 1)}}
TABLES = {f"table {place}": f"rows {place}" for place in range(10)}


def test_what_was_measured_is_there_when_it_goes_on(tmp_path: Path) -> None:
    plan = open_plan(tmp_path / "l", FACTS, TABLES)
    assert not plan.is_begun
    assert plan.measured("fold 0") is None
    plan.keep("fold 0", {"a": 0.1, "b": math.inf})
    plan.keep("fold 1", {"c": 1 / 3})
    again = open_plan(tmp_path / "l", FACTS, TABLES)
    assert again.is_begun
    assert again.measured("fold 0") == {"a": 0.1, "b": math.inf}
    assert again.measured("fold 1") == {"c": 1 / 3}
    again.close()
    assert not has_plan(tmp_path / "l")


def test_a_few_more_tables_do_not_end_it_and_many_do(tmp_path: Path) -> None:
    open_plan(tmp_path / "l", FACTS, TABLES)
    two_more = TABLES | {"new": "rows", "newer": "rows"}
    again = open_plan(tmp_path / "l", FACTS, two_more)
    assert again.is_begun
    assert set(again.tables) == set(TABLES)
    third = open_plan(tmp_path / "l", FACTS, two_more | {"newest": "rows"})
    assert not third.is_begun
    assert len(third.tables) == 13
    assert len(list((tmp_path / "l").iterdir())) == 1


def test_other_rows_other_seeds_and_other_priors_are_other_runs(tmp_path: Path) -> None:
    for changed in (
        (FACTS, TABLES | {"table 3": "other rows"}),
        (FACTS, {name: rows for name, rows in TABLES.items() if name != "table 3"}),
        (FACTS | {"seed": 1}, TABLES),
        (FACTS | {"begins with": "another"}, TABLES),
        (FACTS | {"recipe": {"n_steps": (0, 2)}}, TABLES),
    ):
        open_plan(tmp_path / "l", FACTS, TABLES)
        assert not open_plan(tmp_path / "l", *changed).is_begun


def test_a_forgotten_table_takes_its_runs_along(tmp_path: Path) -> None:
    open_plan(tmp_path / "l", FACTS, TABLES)
    forget_plans(tmp_path / "l", "another table")
    assert has_plan(tmp_path / "l")
    forget_plans(tmp_path / "l", "table 7")
    assert not has_plan(tmp_path / "l")
    forget_plans(tmp_path / "none", "table 7")
