"""Rows under headings: a grid for terminals, tab-separated lines for pipes, values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from autometa.studies.reports.outcome import JSON


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of cells under headings; a title of its own if the listing has several."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer of the command line: what a person reads, and the same as JSON `values`."""

    sections: tuple[Section, ...]
    values: JSON
    nothing: str = "nothing yet"

    @property
    def is_empty(self) -> bool:
        """Whether there is no row to show."""
        return not any(section.rows for section in self.sections)

    def as_grid(self) -> RenderableType:
        """Aligned columns, for a terminal."""
        if self.is_empty:
            return Text(self.nothing)
        return Group(*(_grid(section) for section in self.sections if section.rows))

    def as_lines(self) -> str:
        """A line for each row, cells between tabs, headings first: for `cut`, `sort` and `awk`."""
        lines: list[str] = []
        for section in self.sections:
            if section.rows:
                lines += [section.title] if section.title else []
                lines += ["\t".join(row) for row in (section.headings, *section.rows)]
        return "\n".join(lines)


def pairs(title: str, cells: Sequence[tuple[str, str]]) -> Section:
    """A section of names and values; values that are empty are left out."""
    return Section(("what", "value"), tuple(cell for cell in cells if cell[1]), title)


def _grid(section: Section) -> Grid:
    grid = Grid(box=SIMPLE, title=section.title or None, title_justify="left", pad_edge=False)
    for heading in section.headings:
        grid.add_column(heading, overflow="fold")
    for row in section.rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid
