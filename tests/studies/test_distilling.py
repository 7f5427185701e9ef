"""`autometa prior distill`: the store's trials in one file, of all tables or one half."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autometa.cli import main
from autometa.errors import HistoryError, OptionError, StoreError
from autometa.records import TrialRecord, TrialState
from autometa.search.histories.files import read_history
from autometa.storage import NewStudy, Store, TableRecord
from autometa.studies.distilling import DistillOptions, distill_history
from autometa.studies.table_folders import read_manifest

SLUGS = ("apples", "pears", "plums", "figs")


@pytest.fixture
def options(tmp_path: Path) -> DistillOptions:
    """Two trials on each of four listed tables and one that is not, and one trial on a sixth."""
    lines = ["slug,task,target,rows,family", *(f"{one},binary,y,90,kin {one}" for one in SLUGS)]
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    with Store.open(tmp_path / "store.db") as store:
        for at, name in enumerate((*SLUGS, "mine", "single")):
            mark = str(at) * 64
            store.add_table(
                TableRecord(mark, name, 90 + at, 4, "y", "binary", 2, {"log_rows": 4.5})
            )
            study = store.start_study(NewStudy(mark, name, mark, "log_loss", 7, "3-fold"))
            for number in range(1 if name == "single" else 2):
                trial = TrialRecord(number, "linear", {}, TrialState.COMPLETE, 0.5 + number)
                store.add_trial(study.id, trial)
    return DistillOptions(
        tmp_path / "out.parquet", str(tmp_path / "store.db"), manifest=tmp_path / "manifest.csv"
    )


def test_all_tables_come_with_their_families(options: DistillOptions) -> None:
    """The manifest says which tables are kin; a task with one loss orders nothing and is left."""
    distilled = distill_history(options)
    history, card = read_history(options.output)
    assert card == distilled.card
    assert [task.family for task in history.tasks] == [*(f"kin {one}" for one in SLUGS), "mine"]
    assert (card.name, card.half, card.n_rows, card.seed) == ("out", "all", 95, 7)
    assert (card.n_tasks, card.n_evaluations, card.learners) == (5, 10, ("linear",))
    assert distilled.left_out == ()
    assert "10 evaluations on 5 tasks" in distilled.sentence


def test_halves_share_no_table(options: DistillOptions) -> None:
    """Each listed table is in the half of its family, what is not listed in none."""
    assert options.manifest is not None
    halves = {one.slug: one.half for one in read_manifest(options.manifest)}
    assert set(halves.values()) == {"design", "report"}
    for half in ("design", "report"):
        words = DistillOptions(options.output, options.store, half, options.manifest, half)
        distilled = distill_history(words)
        wanted = [slug for slug in SLUGS if halves[slug] == half]
        assert list(distilled.card.tasks) == wanted
        assert set(distilled.left_out) == {*SLUGS, "mine", "single"} - set(wanted)


def test_what_cannot_be_distilled_is_said(options: DistillOptions, tmp_path: Path) -> None:
    """No manifest for a half, no such half, no store, no trials."""
    with pytest.raises(OptionError, match="needs --manifest"):
        DistillOptions(options.output, half="report")
    with pytest.raises(OptionError, match="unknown"):
        DistillOptions(options.output, half="most")
    with pytest.raises(StoreError, match="no store"):
        distill_history(DistillOptions(options.output, str(tmp_path / "absent.db")))
    Store.open(tmp_path / "empty.db").close()
    with pytest.raises(OptionError, match="no trials"):
        distill_history(DistillOptions(options.output, str(tmp_path / "empty.db")))
    assert not options.output.exists()


def test_the_command_writes_the_file(
    options: DistillOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    """`autometa prior distill` says what it wrote, on stderr."""
    words = ["--store", str(options.store), "-o", str(options.output), "--name", "fruit"]
    with pytest.raises(SystemExit) as left:
        main(["prior", "distill", *words])
    assert left.value.code == 0
    out, err = capsys.readouterr()
    assert not out
    assert "5 tasks" in err
    assert read_history(options.output)[1].name == "fruit"


def test_an_earlier_history_is_added_to(options: DistillOptions, tmp_path: Path) -> None:
    """Its tables have the evaluations of both; what was collected otherwise is refused."""
    before = replace(options, output=tmp_path / "before.parquet")
    distill_history(before)
    with Store.open(options.store) as store:
        figs = next(one for one in store.studies() if one.table_name == "figs")
        more = TrialRecord(2, "linear", {"smoothing": 3.0}, TrialState.COMPLETE, 0.25)
        store.add_trial(figs.id, more)
    added = distill_history(replace(options, base=before.output))
    assert (added.card.n_tasks, added.card.n_evaluations) == (5, 6)
    distill_history(replace(before, half="design"))
    with pytest.raises(HistoryError, match="not be comparable"):
        distill_history(replace(options, base=before.output))
