"""Pruning by what the curves of other tasks taught: for anyone's Optuna study, and for tune."""

from autometa.search.curves.forecasts import CurveModel
from autometa.search.curves.learning import learn_curve_model
from autometa.search.curves.policies import CurvePolicy, LearnedFoldPruner
from autometa.search.curves.pruner import CurvePruner

__all__ = ["CurveModel", "CurvePolicy", "CurvePruner", "LearnedFoldPruner", "learn_curve_model"]
