"""The command line's fixed points: verbs, streams, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from autometa._version import __version__
from autometa.cli import cli, main
from autometa.errors import TableError
from autometa.storage import Store

ROOT = Path(__file__).parent.parent
PENGUINS = ROOT / "examples" / "penguins.csv"


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command under this one, with its full name."""
    yield name, command
    if isinstance(command, click.Group):
        for child in command.commands.values():
            yield from commands(child, f"{name} {child.name}")


EVERY_COMMAND = dict(commands(cli, "autometa"))


def leave(arguments: list[str]) -> int:
    """The exit code with which the command line leaves."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_everything_has_help(name: str) -> None:
    """Every command and every option says what it does."""
    command = EVERY_COMMAND[name]
    assert command.help
    silent = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert not silent


def test_the_page_is_the_help() -> None:
    """docs/cli.md is what the commands say of themselves."""
    command = [sys.executable, "docs/make_cli_page.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, "docs/cli.md is out of date: run python docs/make_cli_page.py"


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version and leaves with 0."""
    assert leave(["--version"]) == 0
    assert capsys.readouterr().out == f"autometa, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune"], "give either DATA"),
        (["tune", "absent.csv"], "absent.csv"),
        (["tune", str(PENGUINS), "--time", "0s"], "instant model"),
        (["tune", str(PENGUINS), "--time", "60x"], "60x"),
        (["tune", str(PENGUINS), "--memory", "much"], "memory size"),
        (["tune", str(PENGUINS), "--trials", "0"], "--trials"),
        (["tune", str(PENGUINS), "--learners", "magic"], "magic"),
        (["tune", str(PENGUINS), "--seed", "-1"], "--seed"),
        (["tune", str(PENGUINS), "--memory", "4G"], "--jobs 0"),
        (["tune", str(PENGUINS), "--holdout", "1.5"], "--holdout"),
        (["bench", "nothing"], "no benchmark 'nothing'"),
    ],
)
def test_what_can_be_mended_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistake of the user leaves with 2 and one line on standard error, nothing on disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOMETA_STORE", str(tmp_path / "store.db"))
    assert leave([*arguments, *(["--jobs", "0"] if arguments[0] == "tune" else [])]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert not list(tmp_path.glob("*_model"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", str(PENGUINS), "--speed", "high"],
        ["tune", str(PENGUINS), "--time", "1s", "--time", "2s"],
        ["tune", str(PENGUINS), "--quiet", "--json"],
        ["tune", str(PENGUINS), "--task", "clustering"],
        ["predict", "model", "x.csv"],
        ["predict", "model", "x.csv", "-o", "y.csv", "--format", "pdf"],
        ["no-such-noun"],
    ],
)
def test_wrong_usage_leaves_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What click refuses leaves with 2 and says where the help is."""
    assert leave(arguments) == 2
    assert "Error:" in capsys.readouterr().err


def test_an_error_of_several_lines_becomes_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever a message quotes, standard error gets one line."""

    @cli.command("fault-in-two-lines")
    def fault() -> None:
        raise TableError("first\n  second")

    try:
        assert leave(["fault-in-two-lines"]) == 2
    finally:
        del cli.commands[fault.name or ""]
    assert capsys.readouterr().err == "error: first second\n"


def test_a_bug_keeps_its_traceback() -> None:
    """What is no user error is not caught: python shows it and leaves with 1."""

    @cli.command("fault")
    def fault() -> None:
        raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            main(["fault"])
    finally:
        del cli.commands[fault.name or ""]


def test_an_interruption_leaves_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C outside a study leaves with 130, without a traceback."""

    @cli.command("fault")
    def fault() -> None:
        raise KeyboardInterrupt

    try:
        assert leave(["fault"]) == 130
    finally:
        del cli.commands[fault.name or ""]
    assert "Traceback" not in capsys.readouterr().err


def test_names_are_split_at_commas() -> None:
    """`a,b`, repeated options and quoted names with commas all give the names."""
    seen: list[object] = []
    option = next(p for p in EVERY_COMMAND["autometa tune"].params if p.name == "drop")

    @click.command(params=[option])
    def probe(drop: list[str]) -> None:
        seen.extend(drop)

    CliRunner().invoke(probe, ["--drop", 'a,b,"c, d"', "--drop", "e"], catch_exceptions=False)
    assert seen == ["a", "b", "c, d", "e"]


def test_listings_have_a_default_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`autometa studies --json` lists, though no verb was said."""
    store = ["--store", str(tmp_path / "store.db")]
    Store.open(tmp_path / "store.db").close()
    assert leave(["studies", *store, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert leave(["studies", "list", *store]) == 0
    assert leave(["trials", *store]) == 2
    assert "autometa tune" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["studies"], ["studies", "show"], ["trials"]])
def test_a_listing_makes_no_store(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped --store is one line and 2, and leaves no file that looks like a store."""
    assert leave([*words, "--store", str(tmp_path / "typo.db")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "typo.db" in said.err
    assert not list(tmp_path.iterdir())


def test_the_store_has_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`autometa store path` prints one path, for other tools to use."""
    assert leave(["store", "path", "--store", str(tmp_path / "s.db")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 's.db'}\n"


def test_benchmarks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`autometa bench` lists the benchmarks, and each shows its own help."""
    assert leave(["bench"]) == 0
    names = capsys.readouterr().out.split()
    assert "bookkeeping" in names
    assert leave(["bench", "bookkeeping", "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_a_benchmark_gets_its_arguments_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark sees the `--` that parts its options from ours; a mistyped one is refused."""
    (tmp_path / "manifest.csv").write_text("slug,task,target,rows,family\n")
    places = ["--tables", str(tmp_path), "--manifest", str(tmp_path / "manifest.csv"), "--json"]
    assert leave(["bench", "peers", *places, "--", "--no-prior"]) == 0
    assert json.loads(capsys.readouterr().out)["options"] == ["--no-prior"]
    assert leave(["bench", "peers", *places, "--bugdet", "5"]) == 2
    assert "--bugdet" in capsys.readouterr().err
