"""Many processes that write to one store at once, and some that are killed while they do.

Run as a module with a store and a study it writes trials, and says each number once it is kept,
until it is killed.
"""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, repeat

from autometa.records import CurvePoint, TrialRecord, TrialState
from autometa.storage import NewStudy, Store, TableRecord

_TABLE = TableRecord("5" * 64, "stress", 1000, 10, "y", "binary", 2)
_N_FOLDS, _N_POINTS = 5, 20
_MOST_WAIT_S = 0.25  # until a writer is killed: some fifty trials on an idle machine


@dataclass(frozen=True, slots=True)
class Stressed:
    """What became of the trials written to one study, and what the store's check says."""

    n_processes: int
    n_asked: int
    n_kept: int
    n_lost: int
    n_doubled: int
    n_torn: int
    problems: tuple[str, ...]
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether each trial is there, once and whole."""
        return not (self.n_lost or self.n_doubled or self.n_torn or self.problems)

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {**asdict(self), "is_sound": self.is_sound}


def stress(place: str, n_processes: int, n_trials: int) -> Stressed:
    """Write trials to one study of a new store by many processes, some numbers by two of them."""
    study_id = _start_study(place)
    shares = [list(range(at, n_trials, n_processes)) for at in range(n_processes)]
    # the last tenth of a neighbour's once more: only one of the two may be kept
    asked = [
        share + shares[at - 1][-max(1, len(share) // 10) :] for at, share in enumerate(shares)
    ]
    start = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
        list(pool.map(write_trials, repeat(place), repeat(study_id), asked))
    seconds = time.perf_counter() - start
    return _verdict(place, study_id, n_processes, set(range(n_trials)), seconds)


def write_trials(place: str, study_id: str, numbers: Sequence[int]) -> None:
    """Add trials of these numbers."""
    with Store.open(place) as store:
        for number in numbers:
            store.add_trial(study_id, _trial(number))


def kill_writers(place: str, n_rounds: int, seed: int) -> Stressed:
    """Kill writers of a new store at random moments; look each time, and let the next go on.

    `n_asked` are the trials that a process had said were kept; each must be there.
    """
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    study_id = _start_study(place)
    said: set[int] = set()
    problems: list[str] = []
    start = time.perf_counter()
    with Store.open(place) as store:
        for _ in range(n_rounds):
            said |= _killed_writer(place, study_id, rng.uniform(0.0, _MOST_WAIT_S))
            problems += store.check()
            store.claim_study(study_id)  # raises while a dead process holds it
            store.release(study_id)
    seconds = time.perf_counter() - start
    return _verdict(place, study_id, 1, said, seconds, tuple(problems))


def _killed_writer(place: str, study_id: str, wait_s: float) -> set[int]:
    """The numbers that a process said it had kept before it was killed."""
    command = [sys.executable, "-m", __spec__.name, place, study_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        output = process.stdout
        if output is None or output.readline() != "ready\n":
            raise RuntimeError("a writer did not start")
        time.sleep(wait_s)
        process.kill()
        return {int(line) for line in output if line.endswith("\n")}


def _start_study(place: str) -> str:
    with Store.open(place) as store:
        store.add_table(_TABLE)
        study = store.start_study(NewStudy(_TABLE.fingerprint, "stress", "5" * 64, "x", 0, "cv5"))
        store.release(study.id)
        return study.id


def _trial(number: int) -> TrialRecord:
    """A trial that can be told from others, whole or torn."""
    return TrialRecord(
        number=number,
        learner="network",
        config={"number": number},
        state=TrialState.COMPLETE,
        loss=float(number),
        fold_losses=tuple(float(number + fold) for fold in range(_N_FOLDS)),
        curve=tuple(
            CurvePoint(fold, step, float(number))
            for fold in range(_N_FOLDS)
            for step in range(_N_POINTS)
        ),
    )


def _verdict(
    place: str,
    study_id: str,
    n_processes: int,
    asked: set[int],
    seconds: float,
    problems: tuple[str, ...] = (),
) -> Stressed:
    with Store.open(place) as store:
        trials = store.trials(study_id)
        problems += tuple(store.check())
    kept = [trial.number for trial in trials]
    return Stressed(
        n_processes,
        len(asked),
        len(kept),
        len(asked - set(kept)),
        len(kept) - len(set(kept)),
        sum(trial != _trial(trial.number) for trial in trials),
        problems,
        round(seconds, 2),
    )


def main() -> None:
    """Write until killed."""
    place, study_id = sys.argv[1:]
    with Store.open(place) as store:
        store.claim_study(study_id)
        known = store.trials(study_id, has_curves=False)
        print("ready", flush=True)  # noqa: T201 - to the process that will kill this one
        for number in count(len(known)):
            store.add_trial(study_id, _trial(number))
            print(number, flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
