"""Search: what samples, prunes and stops an Optuna study, here and in anyone's own.

    study = optuna.create_study(sampler=PriorSampler(read_studies("sqlite:///old.db")))

Importing this package is cheap: each public name loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autometa.search.advisor import AdvisorOptions
    from autometa.search.curves import CurvePruner
    from autometa.search.explanations import Explanation, explain
    from autometa.search.histories._base import Curve, History, PastTask, merge
    from autometa.search.histories.files import read_history, write_history
    from autometa.search.histories.frames import read_csv, read_frame
    from autometa.search.histories.optuna_studies import read_studies
    from autometa.search.prior_sampler import PriorSampler
    from autometa.search.responses.learning import learn_responses
    from autometa.search.responses.saving import read_responses, write_responses
    from autometa.search.stoppers import GainStopper

__all__ = [
    "AdvisorOptions",
    "Curve",
    "CurvePruner",
    "Explanation",
    "GainStopper",
    "History",
    "PastTask",
    "PriorSampler",
    "explain",
    "learn_responses",
    "merge",
    "read_csv",
    "read_frame",
    "read_history",
    "read_responses",
    "read_studies",
    "write_history",
    "write_responses",
]

_HOMES = {
    "AdvisorOptions": "advisor",
    "Curve": "histories._base",
    "CurvePruner": "curves",
    "Explanation": "explanations",
    "GainStopper": "stoppers",
    "History": "histories._base",
    "PastTask": "histories._base",
    "PriorSampler": "prior_sampler",
    "explain": "explanations",
    "learn_responses": "responses.learning",
    "merge": "histories._base",
    "read_csv": "histories.frames",
    "read_frame": "histories.frames",
    "read_history": "histories.files",
    "read_responses": "responses.saving",
    "read_studies": "histories.optuna_studies",
    "write_history": "histories.files",
    "write_responses": "responses.saving",
}


def __getattr__(name: str) -> object:
    """Load a public name's module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'autometa.search' has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(set(globals()) | set(__all__))
