"""Tensors and facts in one file that is written whole or not at all.

Tensors lie in safetensors, all else as JSON in that format's own metadata: reading executes
nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from autometa.errors import MetaLearningError

_FACTS = "autometa"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name, and facts that JSON can hold."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so, without that beginning."""
        begin = f"{prefix}."
        return {
            name.removeprefix(begin): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(begin)
        }


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at once: a reader, or a crash, finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # copies: safetensors refuses tensors that share memory, as tied weights do
    whole = {name: tensor.cpu().clone() for name, tensor in checkpoint.tensors.items()}
    whole = {name: tensor.contiguous() for name, tensor in whole.items()}
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    save_file(whole, beside, metadata={_FACTS: json.dumps(dict(checkpoint.facts))})
    beside.replace(path)


def read_checkpoint(path: Path, mend: str = "delete it to start over") -> Checkpoint:
    """What `write_checkpoint` wrote, on the CPU.

    Raises `MetaLearningError`, which says how to `mend` it, if it is not there or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no iter
            facts = json.loads((file.metadata() or {})[_FACTS])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise MetaLearningError(f"cannot read {path}: {error}; {mend}") from error
    return Checkpoint(tensors, facts)


def optimizer_tensors(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state as tensors named `index.key`, and the plain numbers beside them."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                numbers[f"{index}.{key}"] = value
    return tensors, numbers


def restore_optimizer(
    optimizer: Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> None:
    """Give an optimiser of the same kind the state that `optimizer_tensors` took.

    It moves tensors to where their parameters are, but for counts that it wants on the CPU.
    """
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **numbers}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    whole = optimizer.state_dict()
    optimizer.load_state_dict({**whole, "state": state})
