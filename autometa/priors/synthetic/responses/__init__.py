"""What the target depends on: each response turns a table's columns into scores."""

from collections.abc import Mapping

from autometa.priors.synthetic._base import Response
from autometa.priors.synthetic.responses.additive import draw_additive
from autometa.priors.synthetic.responses.conjunctions import draw_conjunction
from autometa.priors.synthetic.responses.formulas import draw_formula
from autometa.priors.synthetic.responses.hierarchies import draw_hierarchy
from autometa.priors.synthetic.responses.linear import draw_linear
from autometa.priors.synthetic.responses.prototypes import draw_prototypes
from autometa.priors.synthetic.responses.smooth import draw_smooth
from autometa.priors.synthetic.responses.trees import draw_deep_trees, draw_oblivious_trees
from autometa.priors.synthetic.responses.units import draw_units

RESPONSES: Mapping[str, Response] = {
    "units": draw_units,
    "linear": draw_linear,
    "additive": draw_additive,
    "formula": draw_formula,
    "smooth": draw_smooth,
    "oblivious trees": draw_oblivious_trees,
    "deep trees": draw_deep_trees,
    "conjunction": draw_conjunction,
    "hierarchy": draw_hierarchy,
    "prototypes": draw_prototypes,
}

__all__ = ["RESPONSES"]
