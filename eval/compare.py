"""Two runs side by side over the episodes that both drove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.figures import differences, figures
from eval.store import Row


def compare_json(pairs: Sequence[tuple[Row, Row]], names: tuple[str, str]) -> dict[str, object]:
    """Every figure of both, and the paired differences (the first less the second)."""
    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return {
        "runs": list(names),
        "episodes": len(pairs),
        "figures": [figures(one), figures(other)],
        "differences": differences(one, other),
    }


def compare_text(pairs: Sequence[tuple[Row, Row]], names: tuple[str, str]) -> str:
    """A line a figure. Intervals are each their own: one in twenty leaves zero out by chance, and the gate corrects for that."""
    from rich.markup import escape
    from rich.table import Table

    from eval.tables import figure_cell, render

    one, other = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    first, second = figures(one), figures(other)
    table = Table(title=f"{len(pairs)} episodes that both drove: value, difference [95 % interval]", title_justify="left")
    for heading in ("", *map(escape, names), "difference", "episodes that would tell"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, change in differences(one, other).items():
        if isinstance(change, Mapping):
            needed = change.get("needed")
            cells = (figure_cell(first[name]), figure_cell(second[name]), figure_cell(change))
            table.add_row(name.replace("_", " "), *map(escape, cells), "-" if needed is None else f"{needed:,}")
    return render(table).rstrip("\n")
