"""The README is true: its commands and code run, its tree exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")

# what the README gives a minute gets seconds here
BUDGET_S = 6
EXECUTED = re.compile(
    r"<!-- executed by tests/test_readme\.py -->\n```(console|python)\n(.*?)```", re.DOTALL
)
TREE = re.compile(r"<!-- tree: held by tests/test_readme\.py -->\n```text\n(.*?)```", re.DOTALL)


def executed_blocks(kind: str) -> list[str]:
    """The README's blocks of this kind that it says are executed."""
    return [block for found, block in EXECUTED.findall(README) if found == kind]


def shortened(code: str) -> str:
    """The same with budgets of seconds, and no more worker processes than two."""
    code = re.sub(r"--time \S+", f"--time {BUDGET_S}s --jobs 2", code)
    code = re.sub(r'time="60s"', f'time="{BUDGET_S}s", jobs=2', code)
    return code.replace('time_budget="60s"', f'time_budget="{BUDGET_S}s", n_jobs=2')


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the examples and a store of its own, as a user's first day."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.setenv("AUTOMETA_STORE", str(tmp_path / "store.db"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(arguments: list[str]) -> str:
    """Run a process to its end and return what it printed."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_run(place: Path) -> None:
    """Each command of the README leaves with 0, and the predictions are there."""
    lines = [line for block in executed_blocks("console") for line in block.splitlines()]
    assert len(lines) >= 5
    for line in lines:
        _prompt, *words = shlex.split(shortened(line))
        assert words[0] == "autometa"
        run([sys.executable, "-m", *words])
    header, *rows = (place / "predictions.csv").read_text("utf-8").splitlines()
    assert header.startswith("prediction,probability_")
    assert len(rows) == 344


@pytest.mark.parametrize("index", range(len(executed_blocks("python"))))
def test_the_code_runs(index: int, place: Path) -> None:
    """Each Python block of the README runs as it stands, in a process of its own."""
    script = place / "script.py"
    script.write_text(shortened(executed_blocks("python")[index]), "utf-8")
    assert run([sys.executable, str(script)]).strip()


def tree_paths() -> set[str]:
    """The paths of the README's tree: two spaces deeper is inside the folder above."""
    paths: set[str] = set()
    folder = ""
    for line in TREE.findall(README)[0].splitlines():
        # names are separated by two spaces; what follows the 26th column is their description
        names = line[:26].split()
        inside = folder if line.startswith("  ") else ""
        paths |= {inside + name for name in names}
        if not inside and names[0].endswith("/"):
            folder = names[0]
    return paths


def test_the_tree_is_the_tree() -> None:
    """What the README's tree names exists, and no folder of code is missing from it."""
    paths = tree_paths()
    assert not {path for path in paths if not (ROOT / path).exists()}
    folders = {
        f"{folder.parent.name}/{folder.name}/"
        for parent in ("autometa", "studies")
        for folder in (ROOT / parent).iterdir()
        if folder.is_dir() and not folder.is_symlink() and any(folder.glob("*.py"))
    }
    assert not folders - paths


def test_its_links_lead_somewhere() -> None:
    """Every relative link in the README and the documents leads to a file or folder."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)\)", page.read_text("utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not dead


def test_both_setups_use_the_constraints() -> None:
    """The two commands that set everything up install with constraints.txt."""
    block = README.split("## Two commands")[1].split("```")[1]
    commands = [line for line in block.splitlines() if line.startswith("python3")]
    assert len(commands) == 2
    assert all("-c constraints.txt" in command for command in commands)
    assert commands[1].endswith("./check")
