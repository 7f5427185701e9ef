"""A tuned stream as figures: each table, groups of tables, and what was wanted of them."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autometa.studies.benchmarks.history._arms import AGAIN, NONE, OWN, SHIPPED, ArmRun
from autometa.studies.benchmarks.history._effects import Compared, compare, effect, finite
from autometa.studies.benchmarks.history._streams import StreamTable, n_tested_rows_learned
from autometa.studies.benchmarks.metalearning._results import markdown_table

COMPARISONS = ((OWN, SHIPPED), (OWN, AGAIN), (AGAIN, SHIPPED), (OWN, NONE), (SHIPPED, NONE))
ALL, LATE, KIN, ALONE = "all", "second half", "with kin before", "without kin"
_SHARE_BETTER, _SHARE_OF_TIME, _SHARE_WORSE = 0.65, 0.5, 0.10


@dataclass(frozen=True, slots=True)
class Measured:
    """A table of the stream with its arms; `earlier` are the names of all tables before it."""

    table: StreamTable
    arms: Mapping[str, ArmRun]
    earlier: tuple[str, ...]

    def taken(self) -> dict[str, float | None]:
        """The tables of the stream that the own arm says it took configs from: how similar."""
        said = "\n".join(self.arms[OWN].notes) if OWN in self.arms else ""
        found: dict[str, float | None] = {}
        for name in self.earlier:
            # a table's name may be the beginning or the end of another's
            named = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
            match = re.search(rf"{named}(?: \(similarity (\d*\.?\d+)\))?", said)
            if match is not None:
                found[name] = None if match[1] is None else float(match[1])
        return found


def value_report(measured: Sequence[Measured], n_stream: int) -> dict[str, Any]:
    """The figures of all pairs of arms that were run; those of a stream's second half apart.

    The second half of 40 tables begins with the 20th.
    """
    groups: dict[str, Callable[[StreamTable], bool]] = {
        ALL: lambda table: True,
        LATE: lambda table: table.place >= n_stream // 2,
        KIN: lambda table: bool(table.before),
        ALONE: lambda table: table.is_single,
    }
    compared_arms = _compared(measured)
    effects = {
        f"{one} beside {other}": {
            name: effect([found for found in compared if is_in(found.table)])
            for name, is_in in groups.items()
        }
        for (one, other), compared in compared_arms.items()
    }
    worse = _worse_than_both(compared_arms)
    return {
        "n_tables": len(measured),
        "n_families": len({one.table.family for one in measured}),
        "n_tested_rows_learned": n_tested_rows_learned([one.table for one in measured]),
        "goals": _goals(effects, worse),
        "worse_than_both_equal_runs": worse,
        "relatives": _relatives(measured),
        "effects": effects,
        "tables": _tables(measured),
    }


def value_markdown(measured: Sequence[Measured], n_stream: int) -> str:
    """A line for each table, one for each group and pair of arms, and the goals."""
    report = value_report(measured, n_stream)
    head = ("", "table", "rows", "kin before", "taken from kin", *_HEAD)
    tables = [
        (
            str(one["place"]),
            one["table"],
            str(one["n_rows"]),
            str(one["n_kin_before"]),
            str(one["n_kin_taken"]),
            *_line(one.get(f"{OWN} beside {SHIPPED}", {})),
        )
        for one in report["tables"]
    ]
    effects = [
        (pair, name, str(found["n_tables"]), *_effect_line(found))
        for pair, groups in report["effects"].items()
        for name, found in groups.items()
    ]
    rest = ("goals", "relatives", "worse_than_both_equal_runs", "n_tested_rows_learned")
    lines = [f"{name}: {report[name]}" for name in rest]
    head_effects = ("arms", "tables", "n", *_EFFECT_HEAD)
    parts = [markdown_table(head, tables), markdown_table(head_effects, effects), "\n".join(lines)]
    return "\n\n".join(parts)


_HEAD = ("held-out ratio", "noise", "ensemble ratio", "s to shipped's best", "shipped's own")
_EFFECT_HEAD = (
    "held-out ratio",
    "better",
    "ensemble ratio",
    "better",
    "worse / better beyond noise",
    "share of time",
)


def _compared(measured: Sequence[Measured]) -> dict[tuple[str, str], list[Compared]]:
    run = {arm for one in measured for arm in one.arms}
    return {
        (one, other): [compare(m.table, m.arms[one], m.arms[other]) for m in measured]
        for one, other in COMPARISONS
        if {one, other} <= run
    }


def _worse_than_both(
    compared: Mapping[tuple[str, str], Sequence[Compared]],
) -> list[str] | None:
    """Tables on which the own arm is worse beyond noise than the shipped one, and than it again.

    Two equal runs differ by more than their held-out rows' noise: than one alone, by its luck.
    None where no arm was run again.
    """
    if not {(OWN, SHIPPED), (OWN, AGAIN)} <= compared.keys():
        return None
    pairs = zip(compared[OWN, SHIPPED], compared[OWN, AGAIN], strict=True)
    return [
        one.table.name
        for one, again in pairs
        if one.is_worse_beyond_noise and again.is_worse_beyond_noise
    ]


def _goals(
    effects: Mapping[str, Mapping[str, Mapping[str, Any]]], worse_than_both: Sequence[str] | None
) -> dict[str, object]:
    """What was wanted of the own arm beside the shipped one: measured, wanted, reached or not."""
    groups = effects.get(f"{OWN} beside {SHIPPED}", {})
    if not groups or "test_loss" not in groups[LATE]:
        return {}
    late, every, alone = groups[LATE], groups[ALL], groups[ALONE]
    share = late["test_loss"]["share_better"]["value"]
    time, worse = late.get("median_share_of_time"), every["n_worse_beyond_noise"]
    goals: dict[str, object] = {
        "share better on held-out rows, second half": _goal(
            share, _SHARE_BETTER, is_reached=share >= _SHARE_BETTER
        ),
        "median share of the time to the shipped arm's best trial, second half": _goal(
            time, _SHARE_OF_TIME, is_reached=time is not None and time <= _SHARE_OF_TIME
        ),
        "share worse beyond noise, all": _goal(
            worse / every["n_tables"],
            _SHARE_WORSE,
            is_reached=worse <= _SHARE_WORSE * every["n_tables"],
        ),
    }
    if worse_than_both is not None:
        share = len(worse_than_both) / every["n_tables"]
        goals["share worse beyond noise than two equal runs, all"] = _goal(
            share, _SHARE_WORSE, is_reached=share <= _SHARE_WORSE
        )
    if "test_loss" in alone:
        ratio = alone["test_loss"]["ratio"]
        goals["ratio of held-out losses without kin: its interval does not lie above 1"] = _goal(
            ratio["value"], 1.0, is_reached=ratio["low"] <= 1.0
        )
    return goals


def _goal(value: float | None, wanted: float, *, is_reached: bool) -> dict[str, object]:
    return {"value": value, "wanted": wanted, "is_reached": is_reached}


def _relatives(measured: Sequence[Measured]) -> dict[str, object]:
    """Whether the own arm took its first configs from tables that are kin."""
    with_kin = [(one.taken(), set(one.table.before)) for one in measured if one.table.before]
    alone = [one.taken() for one in measured if one.table.is_single]
    kin = [like for taken, before in with_kin for name, like in taken.items() if name in before]
    known = [like for like in kin if like is not None]
    return {
        "n_with_kin_before": len(with_kin),
        "n_took_from_kin": sum(bool(taken.keys() & before) for taken, before in with_kin),
        "n_took_from_others": sum(bool(taken.keys() - before) for taken, before in with_kin),
        "median_similarity_of_kin": statistics.median(known) if known else None,
        "n_without_kin": len(alone),
        "n_without_kin_took": sum(bool(taken) for taken in alone),
    }


def _tables(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Each table: what it is, what its arms reached, and the arms beside each other."""
    beside = {
        f"{one} beside {other}": {found.table.name: found for found in compared}
        for (one, other), compared in _compared(measured).items()
    }
    return [
        {
            "place": one.table.place,
            "table": one.table.name,
            "family": one.table.family,
            "relation": one.table.relation,
            "kind": one.table.kind,
            "n_rows": one.table.rows.train.height,
            "n_kin_before": len(one.table.before),
            "n_kin_taken": len(one.taken().keys() & set(one.table.before)),
            "taken": one.taken(),
            "arms": {arm: _arm(run) for arm, run in one.arms.items()},
            **{pair: _shown(found[one.table.name]) for pair, found in beside.items()},
        }
        for one in measured
    ]


def _arm(run: ArmRun) -> dict[str, object]:
    if run.error is not None:
        return {"error": run.error}
    return {
        "test_loss": run.test_loss,
        "ensemble_loss": run.ensemble_loss,
        "trial_loss": finite(run.trial_loss),
        "n_trials": run.n_trials,
        "wall_s": run.wall_s,
    }


def _shown(found: Compared) -> dict[str, object]:
    return {
        "ratios": {name: math.exp(log) for name, log in found.log_ratios.items()},
        "difference": found.apart,
        "noise": finite(found.noise),
        "is_worse_beyond_noise": found.is_worse_beyond_noise,
        "seconds": finite(found.seconds),
        "other_seconds": finite(found.other_seconds),
    }


def _line(shown: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of `_HEAD`."""
    if not shown.get("ratios"):
        return ("-",) * len(_HEAD)
    noise, seconds, other = shown["noise"], shown["seconds"], shown["other_seconds"]
    in_errors = f"{shown['difference'] / noise:+.1f} SE" if noise else "-"
    ratio = shown["ratios"].get("ensemble_loss")
    return (
        f"{shown['ratios']['test_loss']:.3f}",
        in_errors,
        "-" if ratio is None else f"{ratio:.3f}",
        "never" if seconds is None else f"{seconds:.1f}",
        "-" if other is None else f"{other:.1f}",
    )


def _effect_line(found: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of `_EFFECT_HEAD`."""
    cells: list[str] = []
    for name in ("test_loss", "ensemble_loss"):
        if name not in found:
            cells += ["-", "-"]
            continue
        ratio, equal = found[name]["ratio"], found[name]["n_equal"]
        cells.append(f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]")
        cells.append(f"{found[name]['n_better']}" + (f" ({equal} equal)" if equal else ""))
    beyond = f"{found['n_worse_beyond_noise']} / {found['n_better_beyond_noise']}"
    time = found.get("median_share_of_time")
    return *cells, beyond, "-" if time is None else f"{time:.2f}"
