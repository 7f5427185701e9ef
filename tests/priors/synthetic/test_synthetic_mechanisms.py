"""Which mechanisms go together, and how many categories their tables have."""

from __future__ import annotations

import numpy as np
import pytest

from autometa.priors.synthetic import TableOptions
from autometa.priors.synthetic.mechanisms import (
    Mechanisms,
    choose_mechanisms,
    draw_category_share,
)


def test_mechanisms_come_as_often_as_weighed() -> None:
    """Responses follow their weights, and a second one comes in the asked-for share."""
    options, rng = TableOptions(responses={"linear": 3, "smooth": 1}), np.random.default_rng(0)
    chosen = [choose_mechanisms(rng, options, 10) for _ in range(2000)]
    firsts = [mechanisms.responses[0] for mechanisms in chosen]
    assert firsts.count("linear") / 2000 == pytest.approx(0.75, abs=0.04)
    n_two = sum(len(mechanisms.responses) == 2 for mechanisms in chosen)
    assert n_two / 2000 == pytest.approx(options.two_responses, abs=0.04)
    assert all(len(set(m.responses)) == len(m.responses) for m in chosen)


def test_some_mechanisms_go_together() -> None:
    """Rules come with independent columns more often than others; units never do."""
    options, rng = TableOptions(two_sources=0), np.random.default_rng(0)
    chosen = [choose_mechanisms(rng, options, 10) for _ in range(5000)]

    def share(response: str) -> float:
        sources = [m.sources[0] for m in chosen if m.responses[0] == response]
        return sources.count("independent") / len(sources)

    assert share("conjunction") > 0.2
    assert share("linear") == pytest.approx(0.08, abs=0.03)
    assert share("units") == 0


def test_few_columns_have_one_source() -> None:
    """Below four columns a second source would have nothing to hang together."""
    options, rng = TableOptions(two_sources=1), np.random.default_rng(0)
    assert {len(choose_mechanisms(rng, options, 3).sources) for _ in range(50)} == {1}
    assert {len(choose_mechanisms(rng, options, 4).sources) for _ in range(50)} == {2}


def test_rules_have_categories() -> None:
    """A quarter of columns are categories on average, well over half where rules decide."""
    rng, options = np.random.default_rng(0), TableOptions()

    def mean(response: str) -> float:
        mechanisms = Mechanisms(("graph",), (response,))
        return float(np.mean([draw_category_share(rng, options, mechanisms) for _ in range(2000)]))

    assert mean("linear") == pytest.approx(0.25, abs=0.03)
    assert mean("conjunction") == pytest.approx(0.7 * 0.75 + 0.3 * 0.25, abs=0.03)
