"""The project's measured tables, each remade by one module: `autometa bench NAME`.

A benchmark is a module, here or in a folder, with a `main()` that reads its own options from
`sys.argv` (so that `python -m` runs it as well), takes `--json`, prints its table on stdout and
says on stderr how far it is. Modules that begin with `_` are parts of benchmarks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import walk_packages

from autometa.errors import OptionError


def benchmark_names() -> list[str]:
    """The names `autometa bench` takes."""
    return sorted(_modules())


def run_benchmark(name: str, arguments: Sequence[str]) -> None:
    """Run the benchmark of this name with its own options. Raises `OptionError` for others."""
    modules = _modules()
    if name not in modules:
        known = ", ".join(sorted(modules)) or "none"
        raise OptionError(f"there is no benchmark {name!r}; there are: {known}")
    before = sys.argv
    sys.argv = [f"autometa bench {name}", *arguments]
    try:
        import_module(modules[name]).main()
    finally:
        sys.argv = before


def _modules() -> dict[str, str]:
    """The module of each benchmark, by the benchmark's name."""
    found = [info.name for info in walk_packages(__path__, f"{__name__}.") if not info.ispkg]
    # on the command line words are parted by hyphens
    named = {module.rpartition(".")[2].replace("_", "-"): module for module in found}
    return {name: module for name, module in named.items() if not name.startswith("-")}
