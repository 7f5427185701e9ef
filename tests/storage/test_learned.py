"""Priors of the store: found by the start of their digest, promoted, and rolled back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autometa.errors import StoreError
from autometa.storage import PriorRecord, Promotion, Store

PRIOR = PriorRecord("a1" * 32, "own", "networks", None, {"n_tables": 8}, {"won": 6}, b"tensors")


def test_a_prior_comes_back_as_it_was_kept(store: Store) -> None:
    """All of it, by the start of its digest or by its name; lists leave the file out."""
    store.priors.add(PRIOR)
    store.priors.add(PRIOR)
    assert store.priors.find("A1a1") == PRIOR == store.priors.find("own")
    assert store.priors.every() == [replace(PRIOR, content=b"")]


def test_a_prior_must_be_meant_alone(store: Store) -> None:
    """None, or several of one name, is an error that says how to choose."""
    with pytest.raises(StoreError, match="no prior 'own'"):
        store.priors.find("own")
    store.priors.add(PRIOR)
    store.priors.add(replace(PRIOR, digest="b2" * 32, parent=PRIOR.digest))
    with pytest.raises(StoreError, match=r"a1a1a1a1a1a1 \(own\).*give more of the digest"):
        store.priors.find("own")


def test_the_last_promotion_of_a_kind_is_in_use(store: Store) -> None:
    """Nothing promoted: what comes with us; each kind has its own row of promotions."""
    assert store.priors.in_use("networks") is None
    store.priors.add(PRIOR)
    store.priors.promote(Promotion("networks", PRIOR.digest, "better"))
    assert store.priors.in_use("networks") == PRIOR.digest
    assert store.priors.in_use("search") is None
    store.priors.promote(Promotion("networks", None, "rolled back"))
    assert store.priors.in_use("networks") is None
    reasons = [promotion.reason for promotion in store.priors.promotions("networks")]
    assert reasons == ["better", "rolled back"]
