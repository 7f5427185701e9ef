"""A source that other processes draw from, ahead of the training that reads.

Each draw has randomness of its own, from the seed and the number of tasks read before. So what is
drawn depends neither on how many processes there are, nor on where a run was broken off.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pickle import PicklingError
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from autometa.errors import AutometaError, MetaLearningError
from autometa.metalearning._tasks import (
    Examples,
    OrderedSource,
    TaskBatch,
    TaskSource,
    draw_batches,
)

# of a batch: names, then inputs and targets of support and query as arrays, which travel faster
_Plain = tuple[tuple[str, ...], tuple[NDArray[Any], ...]]
_KILLED = -signal.SIGKILL  # what ends a process for want of memory


@dataclass(frozen=True, slots=True)
class _Draws:
    """Which draws to make: those of `n_tasks` each, from the first one, every so many tasks."""

    source: TaskSource
    seed: int
    n_tasks: int
    first: int
    stride: int

    def make(self, n_read: int) -> Sequence[TaskBatch]:
        """The draw after so many tasks."""
        rng = np.random.default_rng((self.seed, 2, n_read))
        return draw_batches(self.source, self.n_tasks, rng)


@dataclass(slots=True)
class DrawnAhead:
    """The tasks of a source, drawn with a seed in an order of their own.

    `n_processes` processes draw at least one draw ahead each, on a CPU; with 0 tasks are drawn
    when they are asked for. As a context manager it ends them. The source must be picklable, and
    draw the same from the same randomness; a script must start its work under
    `if __name__ == "__main__"`, for processes import it. `n_read` counts the tasks.

    Sources with one seed draw the same: give tasks to be held out a seed of their own.
    """

    source: TaskSource
    seed: int
    n_processes: int = 1
    n_read: int = field(default=0, init=False)
    _others: list[tuple[SpawnProcess, Connection]] = field(default_factory=list, init=False)
    _ahead: _Draws | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from by turns."""
        _require_drawable(self.source)
        if self.n_processes < 0 or self.seed < 0:
            raise MetaLearningError(
                f"{self.n_processes} processes with seed {self.seed} cannot draw ahead: give 0 or "
                "more of both"
            )

    def __enter__(self) -> Self:
        """Itself; processes start with the first draw."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        self.close()

    def draw(self, n_tasks: int, rng: np.random.Generator) -> Sequence[TaskBatch]:
        """The next `n_tasks` tasks.

        Raises what the source raises: from another process as it is if it is an `AutometaError`,
        as a `MetaLearningError` with its traceback if not, or if a process was ended.
        """
        del rng  # the order is the source's own
        if self.n_processes == 0:
            drawn = _Draws(self.source, self.seed, n_tasks, 0, 0).make(self.n_read)
            self.n_read += n_tasks
            return drawn
        try:
            drawn = self._receive(n_tasks)
            self.n_read += n_tasks
        except BaseException:  # a message may be read by half: other processes draw it again
            self.close()
            raise
        return drawn

    def skip_to(self, n_read: int) -> None:
        """Go on as after so many tasks; none is drawn for that."""
        if n_read != self.n_read:
            self.close()
            self.n_read = n_read

    def close(self) -> None:
        """End the processes; the next draw starts others."""
        for process, connection in self._others:
            connection.close()
            process.terminate()
            process.join()
            process.close()
        self._others.clear()
        self._ahead = None

    def _receive(self, n_tasks: int) -> Sequence[TaskBatch]:
        ahead = self._ahead
        if ahead is None or ahead.n_tasks != n_tasks:
            ahead = self._start(n_tasks)
        turn = (self.n_read - ahead.first) // n_tasks % self.n_processes
        process, connection = self._others[turn]
        try:
            received = connection.recv()
        except (EOFError, ConnectionError) as error:
            raise MetaLearningError(_how_it_ended(process)) from error
        if isinstance(received, AutometaError):
            raise received
        if isinstance(received, str):
            raise MetaLearningError(f"a process that draws tasks has failed:\n{received}")
        return [_as_batch(plain) for plain in received]

    def _start(self, n_tasks: int) -> _Draws:
        self.close()
        # a forked process would share locks of torch's threads
        context = get_context("spawn")
        stride = self.n_processes * n_tasks
        for place in range(self.n_processes):
            mine, theirs = context.Pipe(duplex=False)
            first = self.n_read + place * n_tasks
            draws = _Draws(self.source, self.seed, n_tasks, first, stride)
            process = context.Process(target=_serve, args=(draws, theirs), daemon=True)
            try:
                process.start()
            except (PicklingError, TypeError, AttributeError) as error:
                raise MetaLearningError(
                    f"{type(self.source).__name__} cannot be sent to another process ({error}): "
                    "draw with n_processes=0, or give a source that can be pickled"
                ) from error
            theirs.close()
            self._others.append((process, mine))
        self._ahead = _Draws(self.source, self.seed, n_tasks, self.n_read, stride)
        return self._ahead


def _require_drawable(source: object) -> None:
    if not isinstance(source, TaskSource) or isinstance(source, OrderedSource):
        raise MetaLearningError(
            f"a {type(source).__name__} cannot be drawn from by several processes: give a "
            "source with draw(n_tasks, rng) whose tasks hang on rng alone, such as TaskList"
        )


def _how_it_ended(process: SpawnProcess) -> str:
    process.join()
    if process.exitcode == _KILLED:
        return (
            "a process that draws tasks was killed, perhaps for want of memory: draw with fewer; "
            "a run goes on from its checkpoint"
        )
    return (
        f"a process that draws tasks has ended with exit code {process.exitcode}; if it could not "
        'start, put what the script does under `if __name__ == "__main__"`, or draw with '
        "n_processes=0"
    )


def _serve(draws: _Draws, connection: Connection) -> None:
    """Draw until nobody listens; a send waits while the pipe is full."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who trains
    torch.set_num_threads(1)
    n_read = draws.first
    try:
        while True:
            connection.send(_try_to_make(draws, n_read))
            n_read += draws.stride
    except ConnectionError:
        return


def _try_to_make(draws: _Draws, n_read: int) -> list[_Plain] | AutometaError | str:
    """A draw, or what came in its way."""
    try:
        return [_as_plain(batch) for batch in draws.make(n_read)]
    except AutometaError as error:
        return error
    except Exception:  # noqa: BLE001  it is the reader's to raise
        return traceback.format_exc()


def _as_plain(batch: TaskBatch) -> _Plain:
    return batch.names, tuple(one.numpy() for one in (*batch.support, *batch.query))


def _as_batch(plain: _Plain) -> TaskBatch:
    names, arrays = plain
    tensors = [torch.from_numpy(array) for array in arrays]
    return TaskBatch(Examples(*tensors[:2]), Examples(*tensors[2:]), names)
