"""Small histories drawn at random, which agree and disagree, in stores and in files."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from autometa.records import TrialState
from autometa.storage import Store
from autometa.storage.encoding import to_json
from autometa.storage.moving.joining import ordered
from autometa.storage.moving.kinds import KINDS, Part, Row
from autometa.studies.moving.exporting import ExportOptions, export_history

TABLES = tuple(letter * 64 for letter in "ab")
STUDIES = ("aaaa2222", "bbbb3333", "cccc4444")
PRIORS = (b"one prior", b"another")
_BEGIN = datetime(2026, 11, 30, tzinfo=UTC)

# few of each: two histories shall meet in nearly everything
_moments = st.integers(0, 3).map(lambda n: _BEGIN + timedelta(microseconds=n))
_losses = st.sampled_from([None, -0.0, 0.0, 0.25, 1e-300, float("inf")])
_names = st.sampled_from(["churn", "churn 2024", "aaaaaaaa", "größer"])


@st.composite
def histories(draw: st.DrawFn) -> list[Part]:
    """Priors, tables and studies, the parts in which they would be moved."""
    digests = draw(st.sets(st.sampled_from(PRIORS)))
    tables = sorted(draw(st.sets(st.sampled_from(TABLES), min_size=1)))
    parts = [Part({"priors": [_prior(draw, content)]}) for content in sorted(digests)]
    parts.append(_tables(draw, tables))
    # a study is of the same table in every history
    studies = [one for at, one in enumerate(STUDIES) if TABLES[at % 2] in tables]
    chosen = sorted(draw(st.sets(st.sampled_from(studies))))
    if chosen:
        parts.append(_studies(draw, chosen))
    return [ordered(part) for part in parts]


def _prior(draw: st.DrawFn, content: bytes) -> Row:
    return {
        "digest": hashlib.sha256(content).hexdigest(),
        "name": draw(_names),
        "kind": "networks",
        "parent": draw(st.sampled_from([None, "d" * 64])),
        "card": to_json({"n": draw(st.integers(0, 1))}),
        "gates": "{}",
        "content": content,
        "created_at": draw(_moments),
    }


def _tables(draw: st.DrawFn, fingerprints: Sequence[str]) -> Part:
    rows: dict[str, list[Row]] = {"tables": [], "embeddings": [], "samples": []}
    for fingerprint in fingerprints:
        rows["tables"].append(
            {
                "fingerprint": fingerprint,
                "name": draw(_names),
                "n_rows": draw(st.integers(0, 1)),
                "n_columns": 4,
                "target": draw(_names),
                "kind": "binary",
                "n_classes": 2,
                "description": to_json({"trait": draw(st.integers(0, 2))}),
                "description_version": draw(st.integers(0, 1)),
                "column_names": draw(st.sampled_from([None, '["x"]', '["y"]'])),
                "created_at": draw(_moments),
            }
        )
        common = {"table_fingerprint": fingerprint, "created_at": draw(_moments)}
        if draw(st.booleans()):
            vector = to_json([draw(st.sampled_from([0.5, -1.0]))])
            rows["embeddings"].append({**common, "prior_digest": "d" * 64, "vector": vector})
        if draw(st.booleans()):
            content = draw(st.sampled_from([b"PAR1", b"PAR1 more"]))
            more = {"n_rows": 1, "options": "{}", "content": content}
            rows["samples"].append({**common, **more})
    return Part(rows)


def _studies(draw: st.DrawFn, ids: Sequence[str]) -> Part:
    rows: dict[str, list[Row]] = {name: [] for name in KINDS}
    for study in ids:
        rows["studies"].append(_study(draw, study))
        for number in sorted(draw(st.sets(st.integers(0, 2)))):
            _add_trial(draw, rows, {"study_id": study, "number": number})
        for created_at in draw(st.lists(_moments, max_size=3)):
            name = draw(st.sampled_from(["churn", "aaaaaaaa", "z"]))
            rows["proposals"].append(
                {
                    "study_id": study,
                    "created_at": created_at,
                    "kind": draw(st.sampled_from(["config", "why"])),
                    "content": to_json({"tasks": {name: 1.0}}),
                    "origin": draw(st.sampled_from(["default", "search"])),
                }
            )
        if draw(st.booleans()):
            scores = to_json({"out_of_fold": draw(st.sampled_from([0.5, 0.75]))})
            model = {"id": f"m{study[:7]}", "study_id": study, "scores": scores, "members": "[]"}
            rows["models"].append({**model, "created_at": draw(_moments)})
        if draw(st.booleans()):
            content = draw(st.sampled_from([b"tensors", b"others"]))
            network = {"study_id": study, "number": 0, "facts": "{}", "content": content}
            rows["networks"].append({**network, "created_at": draw(_moments)})
    return Part({name: found for name, found in rows.items() if found})


def _study(draw: st.DrawFn, study: str) -> Row:
    return {
        "id": study,
        "table_fingerprint": TABLES[STUDIES.index(study) % 2],
        "name": draw(_names),
        "key": "c" * 64,
        "options": to_json({"n_trials": draw(st.integers(1, 2))}),
        "metric": "log_loss",
        "seed": 0,
        "split": "5-fold",
        "status": draw(st.sampled_from(["running", "interrupted", "failed", "finished"])),
        "baseline_loss": draw(_losses),
        "best_loss": draw(_losses),
        "created_at": draw(_moments),
        "updated_at": draw(_moments),
        "finished_at": draw(st.none() | _moments),
        "autometa_version": "0.1.0",
    }


def _add_trial(draw: st.DrawFn, rows: dict[str, list[Row]], key: dict[str, Any]) -> None:
    losses = draw(st.lists(_losses, max_size=2))
    n_curves = draw(st.integers(0, 2))
    rows["trials"].append(
        {
            **key,
            "learner": draw(st.sampled_from(["linear", "of another tool"])),
            "config": to_json({"penalty": draw(st.sampled_from([0.1, None, "l2", True]))}),
            "state": draw(st.sampled_from([state.value for state in TrialState])),
            "loss": draw(_losses),
            "duration_s": 1.5,
            "predict_s": 0.0,
            "peak_memory_mb": 0.0,
            "n_steps": draw(st.none() | st.integers(0, 1)),
            "origin": draw(st.sampled_from(["default", "prior churn"])),
            "error": draw(st.sampled_from([None, "ValueError: could not read 'Smith'"])),
            "started_at": draw(st.sampled_from([0.0, 1_800_000_000.123456])),
            "n_folds": len(losses),
            "n_curves": n_curves,
        }
    )
    rows["folds"] += [{**key, "fold": fold, "loss": loss} for fold, loss in enumerate(losses)]
    rows["curves"] += [
        {**key, "fold": fold, "steps": "[1,2]", "losses": draw(st.sampled_from(_CURVES))}
        for fold in range(n_curves)
    ]


_CURVES = ("[0.5,0.25]", "[0.5,NaN]")


@cache
def _empty_store() -> bytes:
    """A store's file: made once, since making one takes longer than all that is done with it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        Store.open(path).close()
        return path.read_bytes()


def store_of(folder: Path, *found: Iterable[Part]) -> Path:
    """A store that these histories came to, one after the other."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "store.db"
    path.write_bytes(_empty_store())
    with Store.open(path) as store:
        for history in found:
            for part in history:
                store.moving.join(part)
    return path


def file_of(store: Path) -> Path:
    """All of a store's history as a file beside it."""
    path = store.with_name(f"{len(list(store.parent.iterdir()))}.history")
    options = ExportOptions(store, has_rows=True, has_networks=True)
    return export_history(path, options).output


def copied(path: Path, folder: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copy(path, folder / "copy.history"))
