"""Which models an ensemble is selected from."""

import numpy as np

from autometa.ensembles.candidates import BEST_OF_ALL, BEST_OF_FAMILY, choose_candidates


def test_every_family_has_its_best() -> None:
    """Behind 40 near-copies of the leader another family's best are still candidates."""
    losses = np.concatenate([np.linspace(0.1, 0.2, 40), np.linspace(0.5, 0.6, 12)])
    families = ["leader"] * 40 + ["other"] * 12
    chosen = choose_candidates(losses, families)
    assert chosen == [*range(BEST_OF_ALL), *range(40, 40 + BEST_OF_FAMILY)]


def test_ranks_are_by_loss_then_place() -> None:
    """The best come first, equals in their order, and a model without a loss is left out."""
    losses = np.array([0.3, np.nan, 0.1, 0.3, np.inf])
    assert choose_candidates(losses, ["a"] * 5) == [2, 0, 3]
