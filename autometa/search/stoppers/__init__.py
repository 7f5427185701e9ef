"""Ending a study by what traces of other studies taught: for anyone's Optuna study, and tune."""

from autometa.search.stoppers.gain_stopper import GainStopper
from autometa.search.stoppers.gains import GainModel
from autometa.search.stoppers.learning import learn_gain_model, traces_of

__all__ = ["GainModel", "GainStopper", "learn_gain_model", "traces_of"]
