"""What is kept of tables beyond their description: it comes back, and goes with its table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from autometa.storage import NetworkRecord, NewStudy, SampleRecord, Store, TableRecord


def test_rows_of_a_table_are_kept_once(store: Store, table: TableRecord) -> None:
    """The newer sample takes the place of the older; all can be dropped."""
    sample = SampleRecord(table.fingerprint, 2, {"target": "kind"}, b"PAR1")
    store.remembered.add_sample(sample)
    newer = replace(sample, n_rows=3, content=b"PAR1 more")
    store.remembered.add_sample(newer)
    assert store.remembered.sample(table.fingerprint) == newer
    assert store.remembered.sampled_tables() == [table.fingerprint]
    assert store.remembered.drop_samples() == 1
    assert store.remembered.sample(table.fingerprint) is None


def test_embeddings_belong_to_a_prior(store: Store, table: TableRecord) -> None:
    """Those of another prior are no answer."""
    store.remembered.add_embedding(table.fingerprint, "d" * 64, (0.1, -2.0))
    store.remembered.add_embedding(table.fingerprint, "d" * 64, (9.0, 9.0))
    assert store.remembered.embeddings("d" * 64) == {table.fingerprint: (0.1, -2.0)}
    assert store.remembered.embeddings("e" * 64) == {}


def test_a_study_has_one_network(store: Store, new_study: NewStudy) -> None:
    """The newest; networks are found by their studies' tables, the newest first."""
    first, second = (store.start_study(new_study).id for _ in range(2))
    store.remembered.add_network(NetworkRecord(first, 4, {"width": 8}, b"old"))
    kept = [NetworkRecord(first, 5, {"width": 8}, b"new"), NetworkRecord(second, 1, {}, b"other")]
    for network in kept:
        store.remembered.add_network(network)
    assert store.remembered.networks([new_study.table]) == {new_study.table: kept[::-1]}
    assert store.remembered.networks(["0" * 64]) == {}


def test_what_is_remembered_goes_with_its_table(
    store: Store, path: Path, table: TableRecord, new_study: NewStudy
) -> None:
    """Forgetting a table leaves no row of its cells, nor of its weights, in the file."""
    study = store.start_study(new_study)
    secret = b"a cell that nobody may read" * 20
    store.remembered.add_sample(SampleRecord(table.fingerprint, 1, {}, secret))
    store.remembered.add_network(NetworkRecord(study.id, 0, {}, secret[::-1]))
    store.remembered.add_embedding(table.fingerprint, "d" * 64, (1.0,))
    store.finish_study(study.id, store.find_study(study.id).status)
    store.forget_table(table.fingerprint)
    assert store.remembered.sampled_tables() == []
    assert store.remembered.networks([table.fingerprint]) == {}
    assert store.remembered.embeddings("d" * 64) == {}
    store.close()
    files = [path, *path.parent.glob(f"{path.name}-wal")]
    content = b"".join(file.read_bytes() for file in files)
    assert secret[:27] not in content
    assert secret[::-1][:27] not in content


def test_a_choice_stands_until_the_next(store: Store) -> None:
    """Choices are of any JSON; one never made is None."""
    assert store.remembered.choice("keep_rows") is None
    store.remembered.choose("keep_rows", 2000)
    store.remembered.choose("keep_rows", 0)
    assert store.remembered.choice("keep_rows") == 0


def test_the_names_of_columns_are_kept_if_they_may_be(store: Store, table: TableRecord) -> None:
    """A table comes back with them, or without."""
    named = replace(table, fingerprint="e" * 64, column_names=("length", "width"))
    store.add_table(named)
    assert store.find_table("e" * 64) == named
    known = store.find_table(table.fingerprint)
    assert known is not None
    assert known.column_names is None


def test_what_many_put_at_once_is_there_once(
    store: Store, database: str, table: TableRecord
) -> None:
    """Writers of the same choice, sample and embedding all succeed, and one's stands whole."""

    def put(n: int) -> None:
        with Store.open(database) as other:
            for _ in range(10):
                other.remembered.choose("keep_rows", n)
                other.remembered.add_sample(SampleRecord(table.fingerprint, n, {}, b"%d" % n))
                other.remembered.add_embedding(table.fingerprint, "d" * 64, (float(n),))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, range(4)))
    sample = store.remembered.sample(table.fingerprint)
    assert sample is not None
    assert sample.content == b"%d" % sample.n_rows
    assert store.remembered.choice("keep_rows") in range(4)
    assert len(store.remembered.embeddings("d" * 64)) == 1
