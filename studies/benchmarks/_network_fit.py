"""One fit of the network learner with its defaults, as `_peer_systems` fits another system.

python -m autometa.studies.benchmarks._network_fit KIND TARGET TRAIN TEST SEED CORES OUTPUT [START]

START is "standard", or "prior" for the prior that comes with the package.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from autometa._version import __version__
from autometa.learners import find_learner
from autometa.learners._base import FitContext
from autometa.priors.proposer.start import PriorStart
from autometa.spaces import Config
from autometa.tables._base import Sample, TaskKind
from autometa.tables.features import FeatureEncoder
from autometa.tables.preparation import TableOptions, prepare_like, prepare_table
from autometa.tables.reading import read_table
from autometa.tables.splits import final_split


def fit_and_predict(
    kind: str, target: str, train: Path, test: Path, seed: int, start: str = "standard"
) -> NDArray[np.float64]:
    """Probabilities in the order of the sorted labels, or values, of the test rows."""
    is_proposed = start == "prior"
    table = prepare_table(read_table(train), TableOptions(target=target, kind=TaskKind(kind)))
    split = final_split(table, seed=seed)
    kinds = {column.name: column.kind for column in table.schema.used}
    encoder = FeatureEncoder.fit(table.frame, kinds, seed=seed)
    rows = Sample(encoder.transform(table.frame), table.target)
    proposer = PriorStart.of() if is_proposed else None
    context = FitContext(table.schema.target, seed=seed, start=proposer)
    config: Config = {"start": "prior"} if is_proposed else {}
    model = find_learner("network").fit(
        config, rows.take(split.fit), rows.take(split.stop), context
    )
    frame = prepare_like(read_table(test), table.schema, needs_target=False).frame
    predicted = model.predict(encoder.transform(frame))
    if not table.schema.target.kind.is_classification:
        return predicted
    return in_order_of_labels(predicted, table.schema.target.classes, read_labels(train, target))


def read_labels(train: Path, target: str) -> list[str]:
    """The labels of the training rows in the bench's order."""
    return sorted(pl.read_parquet(train, columns=[target])[target].cast(pl.String).unique())


def in_order_of_labels(
    predicted: NDArray[np.float64], classes: tuple[str, ...], labels: list[str]
) -> NDArray[np.float64]:
    """Columns (N, K) by label; a class that was left out for want of rows gets 0."""
    place = {label: i for i, label in enumerate(classes)}
    none = np.zeros(len(predicted))
    return np.column_stack(
        [predicted[:, place[label]] if label in place else none for label in labels]
    )


def main() -> None:
    """Run one fit as the command line says."""
    kind, target, train, test, seed, n_cores, output, *start = sys.argv[1:]
    import_module("torch").set_num_threads(int(n_cores))
    begun = time.monotonic()
    predicted = fit_and_predict(kind, target, Path(train), Path(test), int(seed), *start)
    wall_s = time.monotonic() - begun
    np.save(output, predicted)
    sys.stdout.write(json.dumps({"version": __version__, "wall_s": round(wall_s, 2)}) + "\n")


if __name__ == "__main__":
    main()
