"""The prior that comes with the package fits the code and the recipe it is said to be of."""

import json

from autometa.priors.proposer.checkpoint import load_prior
from autometa.priors.proposer.recipe import SHIPPED_RECIPE
from autometa.priors.proposer.start import SHIPPED_PRIOR


def test_it_is_of_the_shipped_recipe_but_for_its_length() -> None:
    prior = load_prior()
    card = prior.card
    assert card.parent is not None, "then its first weights are of this recipe too: compare all"
    recipe = json.loads(json.dumps(SHIPPED_RECIPE.without_first_weights().facts()))
    trained = dict(card.training)
    for one in (recipe, trained):
        one["n_stop_tasks"] = None
        one["phases"] = [phase | {"n_meta_steps": None} for phase in one["phases"]]
    assert trained == recipe
    assert prior.proposer.cells == SHIPPED_RECIPE.cells
    assert card.families
    assert not set(card.families) & set(card.watched)


def test_it_is_small() -> None:
    """12 MB are what the wheel may carry."""
    assert SHIPPED_PRIOR.stat().st_size < 12e6
