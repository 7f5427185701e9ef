"""A meta-step of MAML with all tasks together, beside plain loops over tasks: time and gradients.

    autometa bench meta-speed --json

The sine network, 25 tasks of 10 support and 10 query rows, 5 inner steps, second order, one core.
Two plain loops, both of `torch.autograd.grad`: `plain` calls any module with adapted parameters,
as ours does, and is what the goal is about; `by_hand` has this one network
written out as a function of its tensors, the least that can be done.

The ways run one after the other, in an order that goes round, so that whatever drifts on the
machine hits all alike. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from autometa.metalearning import MAML, Sinusoids, TaskBatch
from autometa.studies.benchmarks.metalearning._networks import seeded, sine_network
from autometa.studies.benchmarks.metalearning._results import provenance, require_counts, write

GOAL_TIMES = 5.0
GOAL_DIFFERENCE = 1e-5
_RATE = 0.01


def run(
    n_rounds: int = 21, n_tasks: int = 25, n_inner_steps: int = 5, seed: int = 0
) -> dict[str, object]:
    """Measure all ways."""
    network = seeded(sine_network, seed)
    batch = Sinusoids().draw(n_tasks, np.random.default_rng(seed))[0]
    learner = MAML(network, _RATE, n_steps=n_inner_steps)

    def any_module(parameters: list[Tensor], x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(network, dict(zip(names, parameters, strict=True)), (x,))
        return outputs

    names = [name for name, _ in network.named_parameters()]
    ways: dict[str, Callable[[], object]] = {
        "together": lambda: learner.accumulate(batch, 1.0, np.random.default_rng(0)),
        "plain": lambda: plain_meta_step(network, any_module, batch, n_inner_steps),
        "by_hand": lambda: plain_meta_step(network, sine_outputs, batch, n_inner_steps),
    }
    with _one_thread():
        gradients = {name: _gradients(network, way) for name, way in ways.items()}
        seconds = _times(ways, n_rounds)
    report: dict[str, object] = {
        "n_rounds": n_rounds,
        "n_tasks": n_tasks,
        "n_inner_steps": n_inner_steps,
        **{f"{name}_ms": round(1e3 * statistics.median(seconds[name]), 3) for name in ways},
    }
    difference = relative_difference(gradients["together"], gradients["plain"])
    return report | _verdict(seconds, difference)


def _verdict(seconds: Mapping[str, list[float]], difference: float) -> dict[str, object]:
    times = {
        name: statistics.median(
            theirs / ours for ours, theirs in zip(seconds["together"], seconds[name], strict=True)
        )
        for name in ("plain", "by_hand")
    }
    return {
        "times_faster": round(times["plain"], 2),
        "times_faster_than_by_hand": round(times["by_hand"], 2),
        "goal_times_faster": GOAL_TIMES,
        "is_speed_met": times["plain"] >= GOAL_TIMES,
        "relative_difference": difference,
        "goal_difference": GOAL_DIFFERENCE,
        "is_difference_met": difference <= GOAL_DIFFERENCE,
    }


def plain_meta_step(
    network: nn.Module,
    outputs_of: Callable[[list[Tensor], Tensor], Tensor],
    batch: TaskBatch,
    n_inner_steps: int,
) -> None:
    """What one would write without this package: a loop over tasks with `torch.autograd`."""
    initial = list(network.parameters())
    for index in range(len(batch)):
        (x, y), (query_x, query_y) = batch.task(index).support, batch.task(index).query
        adapted: list[Tensor] = list(initial)
        for _ in range(n_inner_steps):
            loss = functional.mse_loss(outputs_of(adapted, x), y)
            gradients = torch.autograd.grad(loss, adapted, create_graph=True)
            adapted = [a - _RATE * g for a, g in zip(adapted, gradients, strict=True)]
        query_loss = functional.mse_loss(outputs_of(adapted, query_x), query_y)
        torch.autograd.backward(query_loss / len(batch))


def sine_outputs(parameters: list[Tensor], x: Tensor) -> Tensor:
    """The sine network as a function of its tensors."""
    first, first_bias, second, second_bias, last, last_bias = parameters
    hidden = functional.linear(x, first, first_bias).relu()
    hidden = functional.linear(hidden, second, second_bias).relu()
    return functional.linear(hidden, last, last_bias)


def relative_difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The largest difference between gradients, relative to the largest of them."""
    largest = max(float(one.abs().max()) for one in theirs)
    pairs = zip(ours, theirs, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs) / largest


def _gradients(network: nn.Module, way: Callable[[], object]) -> list[Tensor]:
    network.zero_grad(set_to_none=True)
    way()
    return [one.grad.clone() for one in network.parameters() if one.grad is not None]


def _times(ways: Mapping[str, Callable[[], object]], n_rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round; which goes first goes round."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for first in range(n_rounds):
        for place in range(len(names)):
            name = names[(first + place) % len(names)]
            begun = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


@contextmanager
def _one_thread() -> Generator[None]:
    n_before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_before)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--rounds", type=int, default=21, help="meta-steps of each way [21]")
    parser.add_argument("--seed", type=int, default=0, help="of weights and tasks [0]")
    parser.add_argument("--json", action="store_true", help="JSON on stdout in place of lines")
    arguments = parser.parse_args()
    require_counts(arguments, {"rounds": 1, "seed": 0})
    found = run(arguments.rounds, seed=arguments.seed)
    report = {"benchmark": "meta_speed", "seed": arguments.seed, **provenance(), **found}
    lines = "\n".join(f"{name}: {value}" for name, value in report.items())
    write(report, lines, as_json=arguments.json)


if __name__ == "__main__":
    main()
