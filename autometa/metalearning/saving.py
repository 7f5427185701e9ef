"""Meta-learners as files: tensors in safetensors, options in JSON; loading executes nothing.

The module's own code is not kept: who loads gives a module of the same shapes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from autometa.bundles import Bundle, read_bundle, write_bundle
from autometa.errors import MetaLearningError
from autometa.metalearning._base import MetaLearner
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.matching.column_kernel import ColumnMatching
from autometa.metalearning.matching.network import MatchingNetwork
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.stochastic.strategy import StochasticStrategy

_KINDS: dict[str, type[MetaLearner]] = {
    kind.__name__: kind
    for kind in (
        MAML,
        ANIL,
        MetaSGD,
        Reptile,
        RidgeLearner,
        MatchingNetwork,
        StochasticStrategy,
        ColumnMatching,
    )
}


def save_learner(learner: MetaLearner, folder: Path) -> None:
    """Write a meta-learner's tensors and options into `folder`, which is made if need be.

    Raises `MetaLearningError` for a class of one's own, which `load_learner` would not know.
    """
    if _KINDS.get(type(learner).__name__) is not type(learner):
        raise MetaLearningError(
            f"{type(learner).__name__} cannot be saved, only {', '.join(sorted(_KINDS))}: keep "
            "its state_dict() instead"
        )
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: one.detach().cpu().numpy() for name, one in learner.state_dict().items()}
    write_bundle(folder, Bundle(arrays, {"kind": type(learner).__name__, **learner.facts()}))


def load_learner(folder: Path, module: nn.Module | None = None) -> MetaLearner:
    """The meta-learner that was saved, around `module`, whose values are replaced.

    `ColumnMatching` has networks of its own and takes no module.

    Raises `ModelError` if the files cannot be read and `MetaLearningError` if the module's
    parameters have other names or shapes. A loss of one's own is to be set again.
    """
    bundle = read_bundle(folder)
    options = dict(bundle.facts)
    name = options.pop("kind", None)
    if name not in _KINDS:
        known = ", ".join(sorted(_KINDS))
        raise MetaLearningError(f"{folder} holds a meta-learner {name!r}; known are {known}")
    make: type = _KINDS[name]
    try:
        given = () if module is None else (module,)
        learner: MetaLearner = make(*given, **options)
    except MetaLearningError:
        raise
    except (TypeError, ValueError, KeyError) as error:
        raise MetaLearningError(
            f"a {name} cannot be made from {folder}, with"
            f"{'out' if module is None else ''} a module: {error}"
        ) from error
    tensors = {key: torch.from_numpy(array) for key, array in bundle.arrays.items()}
    try:
        learner.load_state_dict(tensors)
    except RuntimeError as error:
        raise MetaLearningError(
            f"the module does not fit the meta-learner in {folder}: {error}"
        ) from error
    return learner
