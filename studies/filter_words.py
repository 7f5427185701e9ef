"""The words that narrow a list, on the command line and in Python, read into filters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import TypedDict, TypeVar

from autometa.errors import OptionError
from autometa.metric_names import own_name
from autometa.records import TrialState
from autometa.spaces import Scalar
from autometa.storage.filters import Filters
from autometa.storage.records import StudyStatus, utc_now
from autometa.storage.setting_filters import OPERATORS, SettingFilter

Names = str | Sequence[str]
_Word = TypeVar("_Word", bound=StrEnum)


class NarrowWords(TypedDict, total=False):
    """What a list may be narrowed by; each absent word, or None, narrows nothing.

    Several `learner`, `metric`, `state` or `status`, as `"a,b"` or a list, are any of them;
    several `param` must all hold. Of what is left the first `n` (0: all), by the column `sort`.
    """

    table: str | None
    learner: Names | None
    metric: Names | None
    since: str | datetime | None
    better_than: float | None
    state: Names | None
    status: Names | None
    param: Names | None
    n: int
    sort: str | None


class ListWords(NarrowWords, total=False):
    """The same, or of one study alone."""

    study: str | None


def check_known(words: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse words that would else be ignored in silence. Raises `OptionError`."""
    allowed = sorted(known)
    for word in words:
        if word not in allowed:
            close = get_close_matches(word, allowed, n=1)
            hint = f": did you mean {close[0]!r}?" if close else f"; there are {allowed}"
            raise OptionError(f"{what} knows no {word!r}{hint}")


def read_filters(words: NarrowWords) -> Filters:
    """The filters of some words, but for `study` and `better_than`: those need a store.

    Raises `OptionError` for what cannot be read.
    """
    table, param = words.get("table"), words.get("param") or ()
    if table is not None and not table.strip():
        raise OptionError("--table is empty: give a name, a pattern or a fingerprint's start")
    return Filters(
        table=None if table is None else table.strip(),
        learners=_names(words.get("learner")),
        metrics=tuple(own_name(name) for name in _names(words.get("metric"))),
        states=_members(TrialState, "--state", words.get("state")),
        statuses=_members(StudyStatus, "--status", words.get("status")),
        since=read_moment(words.get("since")),
        settings=tuple(
            read_setting(one) for one in ((param,) if isinstance(param, str) else param)
        ),
    )


_SPANS = {
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def read_moment(given: str | datetime | None, now: datetime | None = None) -> datetime | None:
    """A date or a time (of here, unless it says of where), or so long ago: 7d, 12h, 30m, 2w."""
    if given is None:
        return None
    if isinstance(given, datetime):
        return given.astimezone()
    try:
        span = re.fullmatch(r"(\d+)\s*([mhdw])", given.strip())
        if span is not None:
            return (now or utc_now()) - int(span[1]) * _SPANS[span[2]]
        return datetime.fromisoformat(given.strip()).astimezone()
    except (ValueError, OverflowError) as error:
        raise OptionError(
            f"--since {given!r} is no moment: give a date such as 2026-05-31, "
            "or how long ago: 7d, 12h, 30m, 2w"
        ) from error


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "none": None}
_MOST = 2**63  # databases know no integers beyond


def read_setting(text: str) -> SettingFilter:
    """`learning_rate<0.01`, `start=standard`, `is_balanced=true`, `depth="3"` (a text).

    Raises `OptionError` for what is no comparison.
    """
    places = [(text.find(one), -len(one), one) for one in OPERATORS if one in text]
    if not places:
        raise _no_comparison(text, "it compares nothing")
    at, _, operator = min(places)
    name, rest = text[:at].strip(), text[at + len(operator) :]
    if operator == "=":
        rest = rest.removeprefix("=")  # == is what programmers write
    if not name or '"' in name:
        raise _no_comparison(text, "it names no setting")
    if not rest.strip():
        raise _no_comparison(text, "it has no value")
    value = _value(rest.strip())
    if operator not in ("=", "!=") and (value is None or isinstance(value, bool)):
        raise _no_comparison(text, f"{rest.strip()} is neither less nor more than another value")
    return SettingFilter(name, operator, value)


def _no_comparison(text: str, why: str) -> OptionError:
    return OptionError(
        f"--param {text!r}: {why}; write such as 'learning_rate<0.01' or 'start=standard', "
        f"with one of {' '.join(OPERATORS)}"
    )


def _value(text: str) -> Scalar:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text) is None:
        return text
    if text.lstrip("+-").isdigit() and abs(int(text)) < _MOST:
        return int(text)
    number = float(text)
    if math.isinf(number):
        raise OptionError(f"--param: the number {text} is too great to be compared with")
    return number


def _names(given: Names | None) -> tuple[str, ...]:
    """`"a,b"`, or a list of such, as single names."""
    texts = (given,) if isinstance(given, str) else given or ()
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


def _members(kind: type[_Word], option: str, given: Names | None) -> tuple[_Word, ...]:
    known = [member.value for member in kind]
    names = [name.lower().replace("-", "_") for name in _names(given)]
    for name in names:
        if name not in known:
            raise OptionError(f"{option} {name!r}: give one of {', '.join(known)}")
    return tuple(kind(name) for name in names)
