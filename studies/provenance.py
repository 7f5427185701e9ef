"""Where a figure or a prior comes from: the commit and the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import torch

_CPU_FACTS = Path("/proc/cpuinfo")
UNKNOWN = "unknown"


def current_commit() -> str:
    """The commit ("-dirty" if the files differ from it); "unknown" outside of a checkout."""
    git = shutil.which("git")
    if git is None:
        return UNKNOWN
    here = Path(__file__).resolve().parents[1]
    if not (here / ".git").exists():  # installed, perhaps inside of somebody's own repository
        return UNKNOWN
    command = [
        git,
        "--no-optional-locks",
        "describe",
        "--always",
        "--dirty",
        "--abbrev=7",
        "--exclude=*",
    ]
    done = subprocess.run(  # noqa: S603  fixed words, no shell
        command, cwd=here, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or UNKNOWN


def machine_name(device: torch.device) -> str:
    """The processor, or the accelerator."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = _CPU_FACTS.read_text().splitlines() if _CPU_FACTS.exists() else []
    models = [line.partition(":")[2].strip() for line in facts if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"
