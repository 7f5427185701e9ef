"""How many workers, with what memory: what was asked for, or what fits."""

import pytest

from autometa.errors import OptionError
from autometa.studies.cores import usable_cores
from autometa.studies.execution import InlineExecutor
from autometa.studies.options import TuneOptions
from autometa.studies.staffing import Staff, plan_staff, share_memory
from autometa.studies.worker import share_mb


@pytest.mark.parametrize(
    ("n_cores", "free_mb", "staff"),
    [
        (2, 8600.0, Staff(2, 4000.0)),
        (16, 3400.0, Staff(7, 400.0)),  # (3400 - 600) / 400
        (16, 900.0, Staff(1, 400.0)),
        (1, 100.0, Staff(1, 400.0)),
    ],
)
def test_a_plain_run_is_never_refused(n_cores: int, free_mb: float, staff: Staff) -> None:
    """One worker per core, fewer where memory is short, and one at least."""
    assert share_memory(TuneOptions(), n_cores, free_mb) == staff


def test_what_was_asked_for_is_kept() -> None:
    """Workers as many as said, on however many cores; the bound on memory is shared by them."""
    assert share_memory(TuneOptions(n_jobs=8), 2, 8600.0) == Staff(8, 1000.0)
    assert share_memory(TuneOptions(n_jobs=2, memory_mb=2600.0), 2, 1.0) == Staff(2, 1000.0)
    assert share_memory(TuneOptions(memory_mb=1400.0), 16, 1.0) == Staff(2, 400.0)
    assert plan_staff(TuneOptions(n_jobs=0)).n_workers == 0
    assert isinstance(plan_staff(TuneOptions(n_jobs=0)).start(), InlineExecutor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TuneOptions(n_jobs=8), "2000 MB .* 8 workers: give --memory 3800M or more or fewer"),
        (TuneOptions(n_jobs=2, memory_mb=1399.0), "2 workers: give --memory 1400M or more"),
        (TuneOptions(memory_mb=800.0), "one worker: give --memory 1000M or more, or --jobs 0"),
    ],
)
def test_what_was_asked_for_and_cannot_be_is_refused(options: TuneOptions, message: str) -> None:
    """The message says how much memory would do."""
    with pytest.raises(OptionError, match=message):
        share_memory(options, 16, 2000.0)


def test_a_container_s_share_of_the_cores_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be more cores on the machine than the process may use."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert usable_cores() == 1


def test_a_large_driver_leaves_its_workers_less() -> None:
    """What the driver takes beyond its 600 MB they lose in equal parts, down to 400 MB each."""
    assert share_mb(1000.0, 2, driver_mb=300.0) == 1000.0
    assert share_mb(1000.0, 2, driver_mb=1000.0) == 800.0
    assert share_mb(1000.0, 2, driver_mb=9000.0) == 400.0
    assert share_mb(300.0, 2, driver_mb=9000.0) == 300.0
