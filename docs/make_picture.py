"""Run `autometa tune` for real and draw what a terminal shows of it into docs/tune.svg.

Run `python docs/make_picture.py`; it takes a minute. The live panel is drawn as it stood halfway.
"""

from __future__ import annotations

import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from autometa.studies.api import options_from
from autometa.studies.progress import Note, Progress
from autometa.studies.reports.outcome import outcome_text
from autometa.studies.reports.progress import progress_panel
from autometa.studies.results import TuneResult
from autometa.studies.tuning import tune

_PICTURE = Path(__file__).with_name("tune.svg")
_EXAMPLE = Path(__file__).parent.parent / "examples" / "penguins.csv"
_STORE = "~/.local/share/autometa/store.db"  # where it lies by default, not where this run had it
_WIDTH = 96  # the longest line of the summary fits, and the picture fits the page


def main() -> None:
    """Run in a folder of its own with a store of its own, then draw."""
    events: list[Note | Progress] = []
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        options = options_from(
            {
                "target": "species",
                "time": "60s",
                "holdout": 0.2,
                "store": Path("store.db"),
                "output": "penguins_model",
            }
        )
        result = tune(_EXAMPLE, options, events.append)
        drawn = draw(events, result)
        os.chdir(_PICTURE.parent)
    _PICTURE.write_text(drawn, "utf-8")


def draw(events: list[Note | Progress], result: TuneResult) -> str:
    """The run as an SVG picture of a terminal."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    prompt = Text("$ ", style="bold green")
    command = "autometa tune examples/penguins.csv --target species --time 60s --holdout 0.2"
    console.print(prompt + Text(command, style="bold"))
    for event in events:
        if isinstance(event, Note):
            console.print(Text(f"note: {event.text}", style="yellow"))
    console.print()
    searching = [e for e in events if isinstance(e, Progress) and e.stage == "searching"]
    if searching:
        halfway = searching[len(searching) // 2]
        console.print(progress_panel(halfway, "penguins", halfway.elapsed_s))
    console.print(outcome_text(replace(result, store=_STORE)))
    return console.export_svg(title="autometa")


if __name__ == "__main__":
    main()
