"""Published few-shot figures of other tables, to set beside ours: they tell the size of things.

As quoted in this project's research notes (metalearning.md, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autometa.studies.benchmarks.metalearning._results import markdown_table

_STUNT = "STUNT, 8 tables"
_FLAT = "FLAT, 118 tables"
PROTOCOLS = (
    "Other tables and other protocols: compare methods within a source, not sources. STUNT (Nam "
    "et al., 2023, table 1): 8 tables of OpenML-CC18, a fifth of the rows as query, means of 100 "
    "seeds; logistic regression and CatBoost are tuned on 100 further labelled rows, and STUNT "
    "learns from all unlabelled rows of the tested table. FLAT (Zhu et al., 2023): 118 UCI tables "
    "made binary, the tested ones left out of meta-training. Ours: the shots are rows of each "
    "class, families are left out of meta-training, nothing is tuned on further labels, and of "
    "the table's unlabelled rows only the columns' centres, scales and ranks are taken."
)


@dataclass(frozen=True, slots=True)
class Published:
    """Mean accuracies in per cent, with as few and as many rows as `rows` says."""

    source: str
    method: str
    rows: str
    few: float
    many: float


PUBLISHED: Sequence[Published] = (
    Published(_STUNT, "STUNT", "1 and 5 a class", 63.88, 74.77),
    Published(_STUNT, "CACTUs", "1 and 5 a class", 59.89, 72.19),
    Published(_STUNT, "nearest class mean", "1 and 5 a class", 52.82, 69.38),
    Published(_STUNT, "logistic regression", "1 and 5 a class", 52.43, 68.36),
    Published(_STUNT, "CatBoost", "1 and 5 a class", 52.06, 69.14),
    Published(_FLAT, "FLAT", "3 and 10 in all", 64.40, 69.86),
    Published(_FLAT, "nearest neighbours", "3 and 10 in all", 62.54, 68.53),
    Published(_FLAT, "STUNT", "3 and 10 in all", 61.28, 69.00),
)


def published_table() -> str:
    """The figures as Markdown, and what differs."""
    rows = [[o.source, o.method, o.rows, f"{o.few:.1f}", f"{o.many:.1f}"] for o in PUBLISHED]
    table = markdown_table(["published on", "method", "rows", "few rows", "more rows"], rows)
    return f"{table}\n\n{PROTOCOLS}"
