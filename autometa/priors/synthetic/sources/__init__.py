"""Where columns come from: each source draws correlated columns and hidden units beside them."""

from collections.abc import Mapping

from autometa.priors.synthetic._base import Source
from autometa.priors.synthetic.sources.clusters import draw_clusters
from autometa.priors.synthetic.sources.factors import draw_factors
from autometa.priors.synthetic.sources.graphs import draw_graph
from autometa.priors.synthetic.sources.layers import draw_layers
from autometa.priors.synthetic.sources.panels import draw_panel
from autometa.priors.synthetic.sources.roots import draw_independent
from autometa.priors.synthetic.sources.series import draw_series

SOURCES: Mapping[str, Source] = {
    "graph": draw_graph,
    "layers": draw_layers,
    "factors": draw_factors,
    "clusters": draw_clusters,
    "series": draw_series,
    "panel": draw_panel,
    "independent": draw_independent,
}

__all__ = ["SOURCES"]
