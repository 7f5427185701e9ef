"""The light list of metrics is the list of metrics."""

from autometa.metric_names import (
    ALIASES,
    GREATER_IS_BETTER,
    LOWER_IS_BETTER,
    own_name,
    turn_sign,
)
from autometa.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS

METRICS = {**CLASSIFICATION_METRICS, **REGRESSION_METRICS}


def test_signs_are_those_of_the_metrics() -> None:
    """Every metric is on the side that its definition says, and no other name is there."""
    assert {name for name, one in METRICS.items() if one.is_greater_better} == GREATER_IS_BETTER
    assert {name for name, one in METRICS.items() if not one.is_greater_better} == LOWER_IS_BETTER


def test_a_score_is_that_of_its_loss() -> None:
    """Both ways it is what the metric itself makes of a loss."""
    for name, metric in METRICS.items():
        assert turn_sign(name, 0.25) == metric.from_loss(0.25)
        assert turn_sign(name, turn_sign(name, 0.25)) == 0.25


def test_other_names_lead_to_ours() -> None:
    """scikit-learn's names and people's are found; what nobody knows stays as it is."""
    assert set(ALIASES.values()) <= METRICS.keys()
    assert own_name(" neg-Log-Loss ") == "log_loss"
    assert own_name("AUC") == "roc_auc"
    assert own_name("gini") == "gini"
