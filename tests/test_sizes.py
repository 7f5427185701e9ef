"""No file and no function grows with every feature: the style's limits, measured."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MAX_FILE, MAX_BODY = 450, 40  # past these a second idea is hiding (p90 of the codebases we follow)


def sources() -> list[Path]:
    """The package's files, each once: the folders are linked into `autometa/`."""
    folders = (ROOT / "autometa", ROOT / "studies", ROOT / "storage")
    files = {path.resolve() for folder in folders for path in folder.rglob("*.py")}
    return sorted(files | {ROOT / "cli.py"})


def body_lengths(source: str) -> Iterator[tuple[str, int]]:
    """Each function's name with the lines of its body, docstring left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_files_stay_short() -> None:
    """Every source file has at most 450 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()
    }
    assert not {name: n for name, n in lengths.items() if n > MAX_FILE}


def test_function_bodies_stay_short() -> None:
    """Every function's body has at most 40 lines."""
    too_long = [
        f"{path.relative_to(ROOT)}: {name} has {n}"
        for path in sources()
        for name, n in body_lengths(path.read_text())
        if n > MAX_BODY
    ]
    assert not too_long


def test_a_long_body_is_seen() -> None:
    """The measure counts a body's lines without its docstring."""
    lines = "\n".join(f"    x = {i}" for i in range(41))
    assert list(body_lengths(f'def long():\n    """Doc."""\n{lines}\n')) == [("long", 41)]
