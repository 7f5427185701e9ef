"""A source that other processes draw from, ahead of the training that reads.

Each draw has randomness of its own, from the seed and the number of tasks read before. So what is
drawn depends neither on how many processes there are, nor on where a run was broken off.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self

import numpy as np
import torch

from autometa.errors import AutometaError, MetaLearningError
from autometa.metalearning._tasks import Examples, TaskBatch, TaskSource, draw_batches

# of a batch: names, then inputs and targets of support and query as arrays, which travel faster
_Plain = tuple[tuple[str, ...], tuple["np.ndarray[tuple[int, ...], np.dtype[np.generic]]", ...]]


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
    """The tasks of a source, drawn with `seed` in an order of their own.

    `n_processes` processes are a draw each ahead; with 0 tasks are drawn when they are asked for.
    As a context manager it ends them. The source must be picklable, and draw the same from the
    same randomness; `n_read` counts the tasks.
    """

    source: TaskSource
    seed: int = 0
    n_processes: int = 1
    n_read: int = 0
    _others: list[tuple[SpawnProcess, Connection]] = field(default_factory=list)
    _ahead: _Draws | None = None

    def __post_init__(self) -> None:
        """Refuse less than no processes."""
        if self.n_processes < 0:
            raise MetaLearningError(
                f"{self.n_processes} processes cannot draw ahead: give 0 or more"
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

        Raises `MetaLearningError` if a process has ended, and what the source raises.
        """
        del rng  # the order is the source's own
        if self.n_processes == 0:
            drawn = _Draws(self.source, self.seed, n_tasks, 0, 0).make(self.n_read)
        else:
            drawn = self._receive(n_tasks)
        self.n_read += n_tasks
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
        try:
            received = self._others[turn][1].recv()
        except (EOFError, ConnectionError) as error:
            self.close()
            raise MetaLearningError(
                "a process that draws tasks ahead has ended, perhaps for want of memory: "
                "draw with fewer processes; a run goes on from its checkpoint"
            ) from error
        if isinstance(received, AutometaError):
            self.close()
            raise received
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
            process.start()
            theirs.close()
            self._others.append((process, mine))
        self._ahead = _Draws(self.source, self.seed, n_tasks, self.n_read, stride)
        return self._ahead


def _serve(draws: _Draws, connection: Connection) -> None:
    """Draw until nobody listens; a send waits until the draw before it was read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who trains
    torch.set_num_threads(1)
    n_read = draws.first
    try:
        while True:
            try:
                connection.send([_as_plain(batch) for batch in draws.make(n_read)])
            except AutometaError as error:
                connection.send(error)
                return
            n_read += draws.stride
    except ConnectionError:
        return


def _as_plain(batch: TaskBatch) -> _Plain:
    return batch.names, tuple(one.numpy() for one in (*batch.support, *batch.query))


def _as_batch(plain: _Plain) -> TaskBatch:
    names, arrays = plain
    tensors = [torch.from_numpy(array) for array in arrays]
    return TaskBatch(Examples(*tensors[:2]), Examples(*tensors[2:]), names)
