"""Free text as numbers: latent components of hashed n-grams, and counts.

Term frequency times inverse document frequency, then a truncated singular value decomposition
(latent semantic analysis: Deerwester et al., 1990). Terms are hashed, so that a saved encoder
holds no words of the training rows.

Axes: N documents, B hash buckets kept, E components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

MAX_COMPONENTS = 32
N_HASHED = 2**18  # collisions are rare: 5,000 kept buckets of 262,144
MAX_BUCKETS = 5_000
MAX_FITTED = 10_000  # documents that components are estimated from
ROWS_A_COMPONENT = 20  # fewer rows cannot tell a component's use from noise
# About a million characters a second are cut into n-grams: 20 million are the most time to spend
MAX_CHARACTERS, MAX_CHARACTERS_A_ROW = 20_000_000, 2_000
SHORT_TEXT = 40  # mean characters below which (names, codes) parts of words say more than words
COUNTS = ("characters", "words", "digits")


@dataclass(frozen=True, slots=True, eq=False)
class TextEncoder:
    """The buckets kept (B,), their inverse document frequencies (B,) and the components (B, E)."""

    is_short: bool
    n_characters: int
    buckets: NDArray[np.int64]
    weights: NDArray[np.float64]
    components: NDArray[np.float64]

    @classmethod
    def fit(cls, column: pl.Series, *, seed: int) -> TextEncoder:
        """Learn from up to `MAX_FITTED` documents drawn by `seed`."""
        documents = column.drop_nulls()
        if documents.is_empty():
            return cls(False, 0, np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 0)))
        n_characters = int(np.clip(MAX_CHARACTERS // len(column), 100, MAX_CHARACTERS_A_ROW))
        is_short = float(documents.str.len_chars().to_numpy().mean()) < SHORT_TEXT
        if len(documents) > MAX_FITTED:
            chosen = np.random.default_rng(seed).choice(len(documents), MAX_FITTED, replace=False)
            documents = documents[np.sort(chosen)]
        counts = _term_counts(documents, is_short, n_characters)
        frequency = np.asarray(counts.getnnz(axis=0)).ravel()
        # a term of one document, or of all, tells no documents apart
        is_useful = (frequency >= 2) & (frequency < len(documents))
        order = np.lexsort((np.arange(N_HASHED), -frequency))
        buckets = np.sort(order[is_useful[order]][:MAX_BUCKETS]).astype(np.int64)
        weights = np.log((1 + len(documents)) / (1 + frequency[buckets])) + 1
        components = _components(_unit_rows(counts[:, buckets].multiply(weights).tocsr()), seed)
        return cls(is_short, n_characters, buckets, weights, components)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The counts, then the components."""
        topics = (f":topic{at}" for at in range(self.components.shape[1]))
        return (*(f":{name}" for name in COUNTS), *topics)

    def encode(self, column: pl.Series) -> NDArray[np.float64]:
        """The counts and components (N, 3 + E), NaN where missing."""
        out = np.full((len(column), len(self.suffixes)), np.nan)
        is_present = column.is_not_null().to_numpy()
        documents = column.drop_nulls()
        if documents.is_empty():
            return out
        out[is_present, : len(COUNTS)] = _counts(documents)
        if self.components.shape[1]:
            terms = _term_counts(documents, self.is_short, self.n_characters)[:, self.buckets]
            latent = _unit_rows(terms.multiply(self.weights).tocsr()) @ self.components
            out[is_present, len(COUNTS) :] = latent
        return out

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """How texts are cut, and the arrays."""
        arrays = {
            "buckets": self.buckets,
            "weights": self.weights,
            "components": np.ascontiguousarray(self.components),
        }
        return {"is_short": self.is_short, "n_characters": self.n_characters}, arrays

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> TextEncoder:
        """What `to_state` gave."""
        return cls(
            bool(state["is_short"]),
            int(state["n_characters"]),
            arrays["buckets"],
            arrays["weights"],
            arrays["components"],
        )


def _term_counts(documents: pl.Series, is_short: bool, n_characters: int) -> Any:
    """Sparse counts (N, N_HASHED) of words and pairs, or of three characters for short texts."""
    # imported when there is text: scikit-learn's import takes a second
    make_hasher: Any = import_module("sklearn.feature_extraction.text").HashingVectorizer
    hasher = make_hasher(
        n_features=N_HASHED,
        alternate_sign=False,
        norm=None,
        analyzer="char_wb" if is_short else "word",
        ngram_range=(3, 3) if is_short else (1, 2),
        dtype=np.float64,
    )
    counts: Any = hasher.transform(documents.str.head(n_characters).to_list())
    counts.data = 1 + np.log(counts.data)  # the tenth mention adds less than the first
    return counts


def _unit_rows(matrix: Any) -> Any:
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    norms[norms == 0] = 1
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr))
    return matrix


def _components(matrix: Any, seed: int) -> NDArray[np.float64]:
    """The leading right singular vectors (B, E)."""
    n_rows, n_buckets = matrix.shape
    n_components = min(MAX_COMPONENTS, n_rows // ROWS_A_COMPONENT, n_buckets - 1)
    if n_components < 1:
        return np.zeros((n_buckets, 0))
    make_svd: Any = import_module("sklearn.decomposition").TruncatedSVD
    svd = make_svd(n_components, n_iter=4, random_state=seed % 2**32).fit(matrix)
    return np.ascontiguousarray(svd.components_.T, dtype=np.float64)


def _counts(documents: pl.Series) -> NDArray[np.float64]:
    """Characters, words and digits (N, 3) of each document."""
    columns = [
        documents.str.len_chars(),
        documents.str.count_matches(r"\S+"),
        documents.str.count_matches(r"\d"),
    ]
    return np.stack([column.cast(pl.Float64).to_numpy() for column in columns], axis=1)
