"""The layout's known traps, each with its guard (docs/decisions/0001-layout.md)."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LINKS = {"studies": "../studies", "storage": "../storage", "cli.py": "../cli.py"}


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """The project's pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", LINKS)
def test_links_are_links(name: str) -> None:
    """The package holds committed relative links to the folders at the root."""
    link = ROOT / "autometa" / name
    assert link.is_symlink(), (
        f"autometa/{name} is not a link: this checkout lost its links. On Windows, turn on "
        "developer mode, then `git config core.symlinks true` and check out again"
    )
    assert str(link.readlink()) == LINKS[name]
    assert link.resolve() == (ROOT / name).resolve()


def test_backend_follows_links(settings: dict[str, Any]) -> None:
    """Setuptools builds: poetry-core resolves the links, uv_build fails on them."""
    assert settings["build-system"]["build-backend"] == "setuptools.build_meta"
    assert settings["tool"]["setuptools"]["packages"]["find"]["include"] == ["autometa*"]


def code_folders() -> list[Path]:
    """Every folder with code as the package sees it, through the links."""
    found: list[Path] = []
    waiting = [ROOT / "autometa"]
    while waiting:
        folder = waiting.pop()
        inner = [path for path in folder.iterdir() if path.is_dir()]
        waiting += [path for path in inner if path.name != "__pycache__"]
        if any(folder.glob("*.py")):
            found.append(folder)
    return found


def test_every_folder_is_a_package() -> None:
    """A folder without `__init__.py` would be left out of the wheel."""
    lost = [str(folder) for folder in code_folders() if not (folder / "__init__.py").exists()]
    assert not lost


def test_data_files_are_packaged(settings: dict[str, Any]) -> None:
    """Every file that is not code is named in the package data."""
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    files = [path for folder in code_folders() for path in folder.iterdir() if path.is_file()]
    lost = [
        str(path)
        for path in files
        if path.suffix not in (".py", ".pyc")
        and not any(fnmatch(path.name, pattern) for pattern in patterns)
    ]
    assert not lost


def test_a_second_import_name_is_reported() -> None:
    """Ruff refuses `import studies`: it would make a second copy of every class."""
    for name in ("studies", "storage", "cli"):
        command = [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--stdin-filename",
            "tests/seeded.py",
            "-",
        ]
        seeded = f'"""Seeded."""\n\nimport {name}\n\n__all__ = ["{name}"]\n'
        done = subprocess.run(
            command, input=seeded, capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert "TID251" in done.stdout, done.stdout + done.stderr


def test_pyright_is_told_of_links(settings: dict[str, Any]) -> None:
    """Pyright skips linked folders silently unless each is named."""
    linked = {f"autometa/{name}" for name in LINKS if not name.endswith(".py")}
    assert {"autometa", "tests", *linked} <= set(settings["tool"]["pyright"]["include"])


def test_mypy_sees_each_file_once(settings: dict[str, Any]) -> None:
    """Mypy is given the package, not the root, where every linked file has two names."""
    files = settings["tool"]["mypy"]["files"]
    assert {"autometa", "tests"} <= set(files)
    assert not {".", "studies", "storage", "cli.py"} & set(files)


def test_coverage_resolves_links(settings: dict[str, Any]) -> None:
    """Coverage measures the root: with the package as source, linked code vanishes."""
    assert settings["tool"]["coverage"]["run"]["source"] == ["."]


def test_every_module_has_a_layer(settings: dict[str, Any]) -> None:
    """Each part of the package stands in the layers that import-linter holds."""
    contract = settings["tool"]["importlinter"]["contracts"][0]
    layered = {part.strip() for layer in contract["layers"] for part in layer.split("|")}
    parts = {path.stem for path in (ROOT / "autometa").iterdir() if path.suffix in ("", ".py")}
    parts -= {"__init__", "__main__", "_version", "__pycache__"}
    assert {f"autometa.{part}" for part in parts} <= layered
