"""Responses of more tasks, in milliseconds: the anchors, the kernel and the others stay.

One step of the expectation maximisation that `learning` does many of: what is believed of any task
is brought together with what was seen of this one. A search tries good configs more often than
others, so ranks among its own trials would call a middling one bad, while what known tasks give to
just these configs, in the order of the losses, would hardly tell the best from the rest where they
think all alike. Scores are the mean of the two, at the level that known tasks tell.

Axes: T tasks, M anchors, n evaluations.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from autometa.search.histories._base import History, PastTask
from autometa.search.responses._base import Array, Interpolation, Responses, TaskFacts
from autometa.search.responses.learning import is_telling, posterior, regrets_of
from autometa.search.responses.scores import matched_scores, own_scores

_MOST_EVALUATIONS = 300  # of one task: its best half of them, and the newest others
_BEST_OF_TASK = 5  # configs that join the pool


def extend(responses: Responses, history: History) -> Responses:
    """The responses with those of the history's tasks after them.

    Settings that the responses do not know are not looked at; a task with too few evaluations to
    tell anything is left out.
    """
    interpolation = Interpolation.of(responses.kernel, responses.anchors)
    mean = responses.means.mean(0)
    away = responses.means - mean
    covariance = away.T @ away / responses.n_tasks + responses.spread
    covariance[np.diag_indices(len(mean))] += 1e-6 * responses.kernel.signal
    means, regrets = [*responses.means], [*responses.regrets]
    pool = {json.dumps(dict(one), sort_keys=True): one for one in responses.pool}
    facts = list(responses.tasks)
    for whole in history.tasks:
        if not is_telling(replace(history, tasks=(whole,))):
            continue
        task = _thinned(whole)
        points = responses.axes.encode(task.configs)
        weights = interpolation.weights(points)
        scores = _scores(task.losses, responses.means @ weights.T)
        around = responses.kernel.noise + interpolation.unexplained(points, weights)
        response, _ = posterior(weights, around, scores, mean, covariance)
        means.append(response)
        regrets.append(regrets_of(scores, task.losses))
        facts.append(TaskFacts(task.name, task.family, dict(task.description)))
        best = [at for at in np.argsort(scores, kind="stable") if np.isfinite(task.losses[at])]
        for at in best[:_BEST_OF_TASK]:
            pool.setdefault(json.dumps(dict(task.configs[at]), sort_keys=True), task.configs[at])
    return replace(
        responses,
        means=np.stack(means),
        regrets=np.stack(regrets),
        pool=tuple(pool.values()),
        tasks=tuple(facts),
    )


def _scores(losses: Array, told: Array) -> Array:
    """Scores (n,) of losses (n,), failures among the worst, by what T tasks tell (T, n)."""
    known = losses[np.isfinite(losses)]
    filled = np.where(np.isfinite(losses), losses, known.max())
    matched = matched_scores(filled, told, np.full(len(told), 1.0 / len(told)))
    found: Array = 0.5 * (matched + matched.mean() + own_scores(filled))
    return found


def _thinned(task: PastTask) -> PastTask:
    """The task with at most so many evaluations."""
    n = len(task.configs)
    if n <= _MOST_EVALUATIONS:
        return task
    order = np.argsort(np.where(np.isfinite(task.losses), task.losses, np.inf), kind="stable")
    best = order[: _MOST_EVALUATIONS // 2]
    newest = np.setdiff1d(np.arange(n), best)[-(_MOST_EVALUATIONS - len(best)) :]
    kept = np.sort(np.concatenate([best, newest]))
    return replace(
        task,
        configs=tuple(task.configs[at] for at in kept),
        losses=task.losses[kept],
        costs_s=None if task.costs_s is None else task.costs_s[kept],
        curves=(),
    )
