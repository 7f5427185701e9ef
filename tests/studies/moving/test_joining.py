"""Histories that meet: order, groups and how often they are joined do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings

from autometa.storage import Store
from autometa.storage.moving.kinds import Part
from autometa.studies.moving.importing import import_history, merge_files
from tests.studies.moving.drawn import file_of, histories, store_of

FEW = settings(max_examples=20)  # each makes several databases
History = Sequence[Part]


@FEW
@given(histories())
def test_a_history_comes_back_byte_for_byte(history: History) -> None:
    """Exported, imported to an empty store and exported again, it is the same file."""
    with TemporaryDirectory() as name:
        store = store_of(Path(name), history)
        first, second = file_of(store), Path(name) / "second.db"
        import_history(first, second)
        assert file_of(second).read_bytes() == first.read_bytes()
        with Store.open(second) as opened:
            assert opened.check() == []


@FEW
@given(histories(), histories())
def test_the_order_of_two_histories_does_not_matter(one: History, other: History) -> None:
    """Whoever imports the other's file ends with the same, also where they contradict."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        left, right = store_of(folder, one, other), store_of(folder, other, one)
        assert file_of(left).read_bytes() == file_of(right).read_bytes()


@FEW
@given(histories(), histories())
def test_importing_again_changes_nothing(one: History, other: History) -> None:
    """Nothing is new and nothing is renewed the second time, and the database stays as it is."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        store, file = store_of(folder, one), file_of(store_of(folder, other))
        import_history(file, store)
        before = file_of(store).read_bytes()
        again = import_history(file, store)
        assert all(tally.n_new == tally.n_changed == 0 for tally in again.tallies.values())
        assert file_of(store).read_bytes() == before


@FEW
@given(histories(), histories(), histories())
def test_files_are_merged_in_any_groups(one: History, two: History, three: History) -> None:
    """(one + two) + three = one + (two + three) = all three at once."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = [file_of(store_of(folder, history)) for history in (one, two, three)]
        left = merge_files(files[:2], folder / "left").output
        right = merge_files(files[1:], folder / "right").output
        merged = [
            merge_files(some, folder / f"merged_{at}").output.read_bytes()
            for at, some in enumerate(([left, files[2]], [files[0], right], files[::-1]))
        ]
        assert merged[0] == merged[1] == merged[2]
