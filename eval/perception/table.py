"""The evaluation as a table: a row a figure, a column a condition."""

from __future__ import annotations

from collections.abc import Mapping


def format_figures(figures: Mapping[str, object]) -> str:
    """Plain text; tables by class, quantity and kind are in the JSON."""
    rows: dict[str, list[str]] = {}
    for condition in figures.values():
        assert isinstance(condition, Mapping)
        for name, value in condition.items():
            if not isinstance(value, Mapping):
                rows.setdefault(name, []).append(f"{value:.4f}" if isinstance(value, float) else str(value))
    head = f"{'':24}" + "".join(f"{name:>14}" for name in figures)
    return "\n".join([head, *(f"{name:24}" + "".join(f"{value:>14}" for value in values) for name, values in rows.items())])
