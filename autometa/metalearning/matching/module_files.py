"""Modules that are made from a few options, as one file of safetensors with its facts as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from autometa.errors import MetaLearningError
from autometa.metalearning.checkpoints import Checkpoint, read_checkpoint, write_checkpoint

_FILE = "module.safetensors"
_Module = TypeVar("_Module", bound=nn.Module)


def save_module(folder: Path | str, module: nn.Module, facts: Mapping[str, object]) -> None:
    """Write a module's tensors, and the options that make another of its shape."""
    named = {"kind": type(module).__name__, "options": dict(facts)}
    write_checkpoint(Path(folder) / _FILE, Checkpoint(module.state_dict(), named))


def load_module(folder: Path | str, kind: type[_Module]) -> _Module:
    """The module that was saved, on the CPU, in the type it had.

    Raises `MetaLearningError` if the file cannot be read, or is of something else.
    """
    path = Path(folder) / _FILE
    saved = read_checkpoint(path, "save it again")
    name, options = saved.facts.get("kind"), saved.facts.get("options")
    if name != kind.__name__ or not isinstance(options, Mapping):
        raise MetaLearningError(f"{path} holds a {name}, not a {kind.__name__}: load it as such")
    try:
        module = kind(**options)
        floating = (one.dtype for one in saved.tensors.values() if one.is_floating_point())
        module.to(next(floating, torch.get_default_dtype())).load_state_dict(saved.tensors)
    except (RuntimeError, TypeError, ValueError) as error:
        raise MetaLearningError(
            f"the {kind.__name__} in {path} is damaged, save it again: {error}"
        ) from error
    return module
