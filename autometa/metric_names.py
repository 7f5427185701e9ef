"""Names of metrics and their signs, without what computes them: enough to list scores.

A test holds them to `autometa.metrics`.
"""

from __future__ import annotations

_AVERAGED = frozenset(
    f"{name}{average}"
    for name in ("f1", "precision", "recall", "jaccard")
    for average in ("", "_macro", "_micro", "_weighted")
)

GREATER_IS_BETTER = _AVERAGED | {
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "d2_absolute_error",
    "d2_brier",
    "d2_log_loss",
    "explained_variance",
    "matthews_corrcoef",
    "r2",
    "roc_auc",
    "roc_auc_ovo",
    "roc_auc_ovo_weighted",
    "roc_auc_ovr_weighted",
    "top_k_accuracy",
}
"""Their loss is 1 - score; every other metric's score is its own loss."""

LOWER_IS_BETTER = frozenset(
    {
        "brier_score",
        "log_loss",
        "mae",
        "mape",
        "max_error",
        "mean_gamma_deviance",
        "mean_poisson_deviance",
        "median_absolute_error",
        "mse",
        "msle",
        "rmse",
        "rmsle",
    }
)

ALIASES = {
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "acc": "accuracy",
    "auc": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "top_k_accuracy_score": "top_k_accuracy",
    "brier_score_loss": "brier_score",
    "brier": "brier_score",
    "d2_log_loss_score": "d2_log_loss",
    "d2_brier_score": "d2_brier",
    "mcc": "matthews_corrcoef",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "r2_score": "r2",
    "d2_absolute_error_score": "d2_absolute_error",
    "mean_absolute_percentage_error": "mape",
    "root_mean_squared_log_error": "rmsle",
    "mean_squared_log_error": "msle",
}
"""Other names that scikit-learn or people have for them."""


def own_name(name: str) -> str:
    """What `name` is called here, if it is known: scikit-learn's names too, and with `neg_`."""
    wanted = name.strip().lower().replace("-", "_").removeprefix("neg_")
    return ALIASES.get(wanted, wanted)


def turn_sign(metric: str, value: float) -> float:
    """From a loss to the score in the metric's own sign, and from a score to its loss."""
    return 1.0 - value if metric in GREATER_IS_BETTER else value
