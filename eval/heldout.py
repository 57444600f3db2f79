"""What is kept for reporting and never run while anything is tuned: opponents and maps. The one list of them."""

from __future__ import annotations

DRIVERS = ("level_k", "bluffer", "distracted")
"""Names in `eval.drivers.DRIVERS`."""
MAPS = ("Town07", "multi_intersections")
"""Stems of map files."""
