"""Keeping a study's lease while it runs, whatever else the process is busy with."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from autometa.errors import StoreError
from autometa.storage import Store
from autometa.storage.leases import LeaseLostError
from autometa.studies.interruption import Interruption

# the store hears at this interval that the study is still being run
HEARTBEAT_S = 5.0


class LeaseKeeper:
    """While its block runs, a thread says that the study is held; no step of the study need.

    Once another run has the study the `wish` comes, so that this one finishes with what there is,
    and `loss` says why.
    """

    def __init__(
        self, store: Store, study_id: str, wish: Interruption, interval_s: float = HEARTBEAT_S
    ) -> None:
        self.loss: str | None = None
        self._store, self._study_id, self._wish = store, study_id, wish
        self._interval_s = interval_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._is_over.wait(self._interval_s):
            try:
                self._store.heartbeat(self._study_id)
            except LeaseLostError as lost:
                self.loss = str(lost)
                self._wish.has_come = True
                return
            except StoreError:
                # locked or out of reach for a moment: the next beat may pass; if it is out of
                # reach for good, the study's own next write says so. A store in memory is never
                # in reach of this thread, nor of anybody who could take the study
                continue
