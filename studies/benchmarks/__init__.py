"""The project's measured tables, each remade by one module: `autometa bench NAME`.

A benchmark is a module here with a `main()` that reads its own options from `sys.argv` (so that
`python -m` runs it as well), takes `--json`, prints its table on stdout and says on stderr how far
it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from autometa.errors import OptionError


def benchmark_names() -> list[str]:
    """The names `autometa bench` takes."""
    return sorted(info.name for info in iter_modules(__path__) if not info.name.startswith("_"))


def run_benchmark(name: str, arguments: Sequence[str]) -> None:
    """Run the benchmark of this name with its own options. Raises `OptionError` for others."""
    if name not in benchmark_names():
        known = ", ".join(benchmark_names()) or "none"
        raise OptionError(f"there is no benchmark {name!r}; there are: {known}")
    before = sys.argv
    sys.argv = [f"autometa bench {name}", *arguments]
    try:
        import_module(f"{__name__}.{name}").main()
    finally:
        sys.argv = before
