"""AutoML for tables that remembers: tune a table, keep every result, start the next one better.

    model = autometa.tune("houses.csv", target="price", time="60s")
    model.predict("new_houses.csv")

Importing this package is cheap: each public name loads its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from autometa._version import __version__
from autometa.errors import AutometaError

if TYPE_CHECKING:
    from autometa.studies.api import Tuned, tune
    from autometa.studies.estimators import AutoMetaClassifier, AutoMetaRegressor
    from autometa.studies.proposing import Proposal, propose
    from autometa.studies.results import TuneResult
    from autometa.studies.store_face import Store
    from autometa.studies.tuned_model import TunedModel
    from autometa.studies.tuned_model import load_model as load

__all__ = [
    "AutoMetaClassifier",
    "AutoMetaRegressor",
    "AutometaError",
    "Proposal",
    "Store",
    "TuneResult",
    "Tuned",
    "TunedModel",
    "__version__",
    "load",
    "propose",
    "tune",
]

_HOMES = {
    "AutoMetaClassifier": ("autometa.studies.estimators", "AutoMetaClassifier"),
    "AutoMetaRegressor": ("autometa.studies.estimators", "AutoMetaRegressor"),
    "Proposal": ("autometa.studies.proposing", "Proposal"),
    "Store": ("autometa.studies.store_face", "Store"),
    "TuneResult": ("autometa.studies.results", "TuneResult"),
    "Tuned": ("autometa.studies.api", "Tuned"),
    "TunedModel": ("autometa.studies.tuned_model", "TunedModel"),
    "load": ("autometa.studies.tuned_model", "load_model"),
    "propose": ("autometa.studies.proposing", "propose"),
    "tune": ("autometa.studies.api", "tune"),
}


def __getattr__(name: str) -> object:
    """Load a public name's module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'autometa' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value: object = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(set(globals()) | set(__all__))
