"""What the meta-learning benchmarks report: figures with intervals, and where they come from."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from autometa.errors import OptionError
from autometa.metalearning import TaskScores
from autometa.studies.provenance import current_commit, machine_name


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over test tasks after some inner steps, with half of its 95 % interval.

    None stands for what is not finite, which JSON cannot say.
    """

    steps: int
    mean: float | None
    half_interval: float | None

    @property
    def text(self) -> str:
        """Such as `0.430 +- 0.036`."""
        if self.mean is None or self.half_interval is None:
            return "not finite"
        digits = 1 if self.mean >= 10 else 3  # accuracies in per cent, losses
        return f"{self.mean:.{digits}f} ± {self.half_interval:.{digits}f}"


def figures(scores: TaskScores, *, scale: float = 1.0) -> list[Figure]:
    """One figure for each number of steps, multiplied by `scale`; not rounded, to be judged by."""
    pairs = zip(scores.mean(), scores.half_interval(), strict=True)
    values = [(_finite(mean * scale), _finite(half * scale)) for mean, half in pairs]
    return [Figure(step, *value) for step, value in zip(scores.steps, values, strict=True)]


def provenance(device: torch.device | str = "cpu") -> dict[str, object]:
    """The commit, the machine and the versions."""
    return {
        "commit": current_commit(),
        "machine": machine_name(torch.device(device)),
        "n_threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def parser_for_tables(doc: str | None) -> argparse.ArgumentParser:
    """The parser of a benchmark on a folder of tables, described by its docstring's first line."""
    description = (doc or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add = parser.add_argument
    add("--tables", type=Path, required=True, metavar="DIR", help="folder of parquet tables")
    add("--manifest", type=Path, required=True, metavar="CSV", help="the list of tables")
    return parser


def add_shared_options(parser: argparse.ArgumentParser, algorithms: Sequence[str]) -> None:
    """The options that both benchmarks of algorithms take."""
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of first weights, training and test tasks [0]")
    add("--checkpoints", type=Path, metavar="DIR", help="keep state here, and go on from it")
    add("--threads", type=int, metavar="N", help="threads of torch [its own default]")
    add("--quiet", action="store_true", help="do not say how far it is")
    add("--json", action="store_true", help="JSON on stdout in place of Markdown")
    add(
        "--algorithm",
        action="append",
        choices=algorithms,
        dest="algorithms",
        help="may be given more than once [all]",
    )


def require_counts(arguments: argparse.Namespace, least: Mapping[str, int]) -> None:
    """Raise `OptionError` for a count below what is allowed; None passes."""
    for name, lowest in least.items():
        given = getattr(arguments, name)
        if given is not None and given < lowest:
            option = f"--{name.replace('_', '-')}"
            raise OptionError(f"{option} {given} is too low: give {lowest} or more")


def write(report: Mapping[str, object], markdown: str, *, as_json: bool) -> None:
    """The report on stdout."""
    text = json.dumps(report, indent=2, allow_nan=False) if as_json else markdown
    sys.stdout.write(text + "\n")


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
