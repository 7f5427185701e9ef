"""Meta-learners as files: tensors in safetensors, options in JSON; loading executes nothing.

Both stand in one file, the options in its header, so that no crash can leave those of two. The
module's own code is not kept: who loads gives a module of the same shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from autometa.errors import MetaLearningError
from autometa.metalearning._base import LossFunction, MetaLearner
from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from autometa.metalearning.gradient._base import RuleSpec
from autometa.metalearning.gradient.maml import ANIL, MAML, MetaSGD
from autometa.metalearning.gradient.reptile import Reptile
from autometa.metalearning.matching.column_kernel import ColumnMatching
from autometa.metalearning.matching.network import MatchingNetwork
from autometa.metalearning.ridge import RidgeLearner
from autometa.metalearning.stochastic.strategy import StochasticStrategy

_FILE = "learner.safetensors"
_OURS: tuple[type[MetaLearner], ...] = (
    MAML,
    ANIL,
    MetaSGD,
    Reptile,
    RidgeLearner,
    MatchingNetwork,
    StochasticStrategy,
    ColumnMatching,
)


def save_learner(learner: MetaLearner, folder: Path | str) -> None:
    """Write a meta-learner's tensors and options into `folder`, which is made if need be.

    What was saved there before is replaced at once. One of a class of your own is saved too.
    """
    facts = {"kind": type(learner).__name__, "options": learner.facts()}
    write_checkpoint(Path(folder) / _FILE, Checkpoint(learner.state_dict(), facts))


def load_learner(
    folder: Path | str,
    module: nn.Module | None = None,
    *,
    loss: LossFunction | None = None,
    rule: RuleSpec | None = None,
    kinds: Iterable[type[MetaLearner]] = (),
) -> MetaLearner:
    """The meta-learner that was saved, around `module`, whose values are replaced.

    `ColumnMatching` has networks of its own and takes no module. What is code comes from you:
    `loss`, if it was not the usual one, `rule`, if the inner rule's class is your own, and
    `kinds`, the classes of meta-learners of your own. Tensors of a loss are loaded too.

    Raises `MetaLearningError` if the file cannot be read, or the module's parameters have other
    names or shapes.
    """
    path = Path(folder) / _FILE
    saved = read_checkpoint(path, "save the learner again")
    learner = _made(path, saved.facts, module, rule, kinds)
    if loss is not None:
        learner.loss = loss
    types = (one.dtype for one in saved.tensors.values() if one.is_floating_point())
    if module is None and (own := next(types, None)) is not None:
        learner.to(own)  # a module that is given says itself what type it is
    _load_state(path, learner, saved.tensors)
    return learner


def _made(
    path: Path,
    facts: Mapping[str, object],
    module: nn.Module | None,
    rule: RuleSpec | None,
    kinds: Iterable[type[MetaLearner]],
) -> MetaLearner:
    """A meta-learner of the saved class and options, with nothing learned yet."""
    known: dict[str, type] = {kind.__name__: kind for kind in (*_OURS, *kinds)}
    name, options = str(facts.get("kind")), facts.get("options")
    if name not in known or not isinstance(options, Mapping):
        raise MetaLearningError(
            f"{path} holds a meta-learner {name!r}, known are {', '.join(sorted(known))}: give a "
            "class of your own by kinds=[...]"
        )
    given = () if module is None else (module,)
    own = {} if rule is None else {"rule": rule}
    try:
        learner: MetaLearner = known[name](*given, **{**options, **own})
    except MetaLearningError:
        raise
    except (TypeError, ValueError, KeyError) as error:
        raise MetaLearningError(
            f"a {name} cannot be made from {path}, with{'out' if module is None else ''} a "
            f"module: {error}"
        ) from error
    return learner


def _load_state(path: Path, learner: MetaLearner, tensors: Mapping[str, Tensor]) -> None:
    own = {name: one for name, one in learner.state_dict().items() if name.startswith("loss.")}
    lost = [name for name in tensors if name.startswith("loss.") and name not in own]
    if lost:
        raise MetaLearningError(
            f"the meta-learner in {path} has a loss with {', '.join(lost)}: give such a one by "
            "load_learner(folder, module, loss=...)"
        )
    try:
        learner.load_state_dict({**own, **tensors})
    except RuntimeError as error:
        raise MetaLearningError(
            f"the module does not fit the meta-learner in {path}: {error}"
        ) from error
