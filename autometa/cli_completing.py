"""Completion in shells: click's own, with ids and names from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

_VARIABLE = "_AUTOMETA_COMPLETE"  # by which click is asked to complete; named after the program
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def from_store(noun: str) -> Completer:
    """Completes a study's id, or the name of a table or prior."""

    def complete(context: click.Context, _of: click.Parameter, start: str) -> list[CompletionItem]:
        from autometa.studies.completing import offered

        found = offered(context.params.get("store"), noun, start)
        return [CompletionItem(name, help=about) for name, about in found]

    return complete


def from_names(*names: str) -> Completer:
    """Completes the last of names with commas between them."""

    def complete(_in: click.Context, _of: click.Parameter, start: str) -> list[CompletionItem]:
        before, comma, last = start.rpartition(",")
        return [CompletionItem(before + comma + one) for one in names if one.startswith(last)]

    return complete


study_argument = click.argument("study", required=False, shell_complete=from_store("study"))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes autometa's commands, options, ids and tables.

    bash, in ~/.bashrc: eval "$(autometa completion bash)"

    zsh, in ~/.zshrc: eval "$(autometa completion zsh)"

    fish: autometa completion fish > ~/.config/fish/completions/autometa.fish
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - the choices are click's own shells
    options: dict[str, Any] = {}
    root = context.find_root().command
    click.echo(found(root, options, "autometa", _VARIABLE).source())
