"""How many cores this process may use."""

from __future__ import annotations


def usable_cores() -> int:
    """The cores that the process is bound to, and no more than its container's share of time."""
    from loky import cpu_count  # noqa: PLC0415  loading a model needs no worker processes

    return int(cpu_count())
