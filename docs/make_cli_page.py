"""Write docs/cli.md from the command line's own help; with --check only compare.

Run `python docs/make_cli_page.py` after changing a command or an option.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from autometa.cli import cli

PAGE = Path(__file__).with_name("cli.md")
_WIDTH = 99  # a fixed width: the page must not depend on the terminal it was made on

_HEAD = """# The command line

Made by `python docs/make_cli_page.py` from `autometa --help`; do not edit.

Data goes to standard output, talk to standard error. Exit codes: 0 done, 2 something you can mend
(one line on standard error says what), 1 a bug, 130 interrupted: `tune` then still saves what is
finished.
"""


def page() -> str:
    """The page as the present commands make it."""
    return _HEAD + "".join(_sections(cli, "autometa"))


def _sections(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(
        command,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        help_option_names=command.context_settings.get("help_option_names", ["-h", "--help"]),
    )
    yield f"\n## {name}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            yield from _sections(command.commands[child], f"{name} {child}")


def main() -> None:
    """Write the page, or with --check leave with 1 if it differs."""
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.exists() and PAGE.read_text("utf-8") == page() else 1)
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
