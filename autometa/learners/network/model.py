"""The fitted network: prediction and files (safetensors and JSON; loading executes nothing).

Axes: N rows, K outputs.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from autometa.errors import ModelError
from autometa.learners._base import Model
from autometa.learners.network._base import RowInputs, TableNetwork, outputs_of
from autometa.learners.network.inputs import Inputs
from autometa.learners.network.module import Architecture, NetworkModule
from autometa.learners.network.proposed import CellInputs, ProposedModule
from autometa.learners.network.scoring import TargetScale, log_probabilities
from autometa.metrics import Objective
from autometa.priors.proposer.cells import CellEncoder
from autometa.priors.proposer.network import ColumnNetwork
from autometa.tables._base import Features

_CARD_FILE = "network.json"
_TENSOR_FILE = "network.safetensors"
# a proposed network is of format 2, which versions without a prior refuse
_STANDARD, _PROPOSED = 1, 2


@dataclass(frozen=True, slots=True)
class Reading:
    """How outputs become predictions: for classes a sharpness, for values their scale."""

    sharpness: float = 1.0
    target: TargetScale | None = None


class NetworkModel(Model):
    """A trained network."""

    def __init__(
        self, inputs: RowInputs, module: TableNetwork, reading: Reading, n_steps: int
    ) -> None:
        self.n_steps = n_steps
        self._inputs = inputs
        self._module = module
        self._reading = reading

    def predict(self, features: Features) -> NDArray[np.float64]:
        """Probabilities (N, K), or values (N,) for regression."""
        scale = self._reading.target
        chunks = outputs_of(self._module, self._inputs.transform(features))
        if scale is not None:
            values = [scale.to_values(outputs) for outputs in chunks]
            return torch.cat(values).numpy() if values else np.zeros(0)
        sharpness = self._reading.sharpness
        rows = [torch.softmax(sharpness * log_probabilities(outputs), 1) for outputs in chunks]
        n_outputs = self._module.n_outputs
        return torch.cat(rows).numpy() if rows else np.zeros((0, n_outputs))

    @property
    def proposed(self) -> tuple[ColumnNetwork, CellEncoder] | None:
        """The network and what makes its cells, if a prior proposed it."""
        if isinstance(self._module, ProposedModule) and isinstance(self._inputs, CellInputs):
            return self._module.network, self._inputs.encoder
        return None

    def save(self, folder: Path) -> None:
        """Write `network.json` and `network.safetensors`."""
        arrays = {f"inputs.{name}": array for name, array in self._inputs.to_arrays().items()}
        for name, tensor in self._module.named_parameters():
            arrays[f"module.{name}"] = tensor.detach().numpy()
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, str(folder / _TENSOR_FILE))
        card = {
            "format": _PROPOSED if isinstance(self._module, ProposedModule) else _STANDARD,
            "architecture": self._module.facts(),
            "sharpness": self._reading.sharpness,
            "target": self._reading.target and dataclasses.asdict(self._reading.target),
            "n_steps": self.n_steps,
        }
        (folder / _CARD_FILE).write_text(json.dumps(card, indent=1), encoding="utf-8")


def load_network(folder: Path) -> NetworkModel:
    """What `NetworkModel.save` wrote; raises `ModelError` if the files are not that."""
    try:
        card = json.loads((folder / _CARD_FILE).read_text(encoding="utf-8"))
        arrays = load_file(str(folder / _TENSOR_FILE))
    # safetensors' own error is a plain Exception
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"cannot read the network in {folder}: {error}; save it anew") from error
    if not isinstance(card, dict) or card.get("format") not in (_STANDARD, _PROPOSED):
        raise ModelError(
            f"the network card in {folder} is not of format {_STANDARD} or {_PROPOSED}, which "
            "this version reads; use the version of autometa that wrote it, or train anew"
        )
    try:
        return _assemble(card, arrays)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the network's card and tensors in {folder} do not fit: {error}; save it anew"
        ) from error


def _assemble(card: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> NetworkModel:
    """The model of a card and its tensors."""
    fields = card["architecture"]
    tensors, state = _strip(arrays, "module."), _strip(arrays, "inputs.")
    reading = Reading(card["sharpness"], _target_scale(card["target"]))
    if card["format"] == _PROPOSED:
        proposed = ProposedModule.from_arrays(tensors).requires_grad_(requires_grad=False)
        return NetworkModel(CellInputs.from_arrays(state), proposed, reading, card["n_steps"])
    columns: dict[str, Any] = {name: tuple(fields[name]) for name in ("one_hot", "embedded")}
    module = NetworkModule(Architecture(**(fields | columns))).requires_grad_(requires_grad=False)
    for name, tensor in module.named_parameters():
        tensor.copy_(torch.from_numpy(tensors[name]))
    return NetworkModel(Inputs.from_arrays(state), module, reading, card["n_steps"])


def _target_scale(fields: dict[str, Any] | None) -> TargetScale | None:
    if fields is None:
        return None
    objective = Objective(fields.get("objective", Objective.SQUARED))
    whole: dict[str, Any] = fields | {"objective": objective}
    return TargetScale(**whole)


def _strip(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
