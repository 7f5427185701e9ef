"""Trials narrowed by a setting of their config, which the store keeps as JSON."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, ColumnElement, Double, Text, case, cast, func, literal, or_

from autometa.spaces import Scalar
from autometa.storage.schema import TrialRow

OPERATORS = ("<=", ">=", "!=", "<", ">", "=")
"""The longer ones first: so they are looked for in a text."""

# what each database calls the types of JSON
_NUMBERS = ("integer", "real", "number")
_TEXTS = ("text", "string")

# what Python writes for numbers that JSON does not have: they count as null
_ODD_NUMBERS = ("NaN", "Infinity", "-Infinity")
_ODD = r"(?<=:)(NaN|-?Infinity)(?=[,}])"


@dataclass(frozen=True, slots=True)
class SettingFilter:
    """`name` of a trial's config compared with `value` by one of `OPERATORS`.

    It holds only where the config has the setting. Numbers, texts, true, false and null equal
    only their like; an order is one of two numbers, or of two texts by code points.
    """

    name: str
    operator: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class _Cell:
    """A setting in SQL: `kind` is the type that JSON gives it, NULL where there is none."""

    kind: ColumnElement[Any]
    number: ColumnElement[Any]
    text: ColumnElement[Any]


def setting_clause(setting: SettingFilter, dialect: str) -> ColumnElement[bool]:
    """The config has the setting, and it compares with the value as it should."""
    cell = (_of_sqlite if dialect == "sqlite" else _of_postgresql)(setting.name)
    if setting.operator == "=":
        return _equals(cell, setting.value)
    if setting.operator == "!=":
        return cell.kind.is_not(None) & ~_equals(cell, setting.value)
    kinds, value = _like(cell, setting.value)
    return cell.kind.in_(kinds) & value.op(setting.operator, is_comparison=True)(setting.value)


def _equals(cell: _Cell, value: Scalar) -> ColumnElement[bool]:
    """Never NULL where the config has the setting."""
    if value is None or isinstance(value, bool):
        return cell.kind == json.dumps(value)
    kinds, side = _like(cell, value)
    return cell.kind.in_(kinds) & (func.coalesce(side == value, literal(value=False)))


def _like(cell: _Cell, value: Scalar) -> tuple[tuple[str, ...], ColumnElement[Any]]:
    """The types that are like the value, and the setting as such a one."""
    return (_TEXTS, cell.text) if isinstance(value, str) else (_NUMBERS, cell.number)


def _of_sqlite(name: str) -> _Cell:
    mended: ColumnElement[str] = TrialRow.config.expression
    for odd, end in itertools.product(_ODD_NUMBERS, ",}"):
        mended = func.replace(mended, f":{odd}{end}", f":null{end}")
    config = case((func.json_valid(TrialRow.config) == 1, TrialRow.config), else_=mended)
    # SQLite before 3.45 compares names as they are written, other letters than ASCII escaped
    path = f"$.{json.dumps(name)}"
    value = func.json_extract(config, path)
    return _Cell(func.json_type(config, path), value, value)


def _of_postgresql(name: str) -> _Cell:
    is_odd = or_(TrialRow.config.contains("NaN"), TrialRow.config.contains("Infinity"))
    mended = func.regexp_replace(TrialRow.config, _ODD, "null", "g")
    config = cast(case((is_odd, mended), else_=TrialRow.config), JSON)
    key = literal(name, Text)
    text = cast(config.op("->>")(key), Text)
    kind = func.json_typeof(config.op("->")(key))
    number = case((kind == "number", cast(text, Double)))
    shown = case((kind == "boolean", text), else_=kind)
    return _Cell(shown, number, text.collate("C"))
