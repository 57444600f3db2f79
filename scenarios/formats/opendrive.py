"""OpenDRIVE road networks (ASAM OpenDRIVE 1.4 to 1.8) as maps to drive on.

`read_opendrive` gives the draft, `load_opendrive` the finished map. Superelevation tilts lanes and objects; crossfall, road
shape and lane height are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.opendrive_control import apply_control
from scenarios.formats.opendrive_crossings import cut_crossings
from scenarios.formats.opendrive_lanes import lay_out
from scenarios.formats.opendrive_limits import DEFAULT_LIMIT
from scenarios.formats.opendrive_model import read_network
from scenarios.formats.opendrive_objects import lay_crosswalks, sight_blockers
from scenarios.formats.opendrive_strands import to_draft
from scenarios.formats.override import override_control
from scenarios.formats.xml import Element, parse_xml, read_xml
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneMap, MapDraft
from sim.roads.resample import RoadError


def load_opendrive(path: str | Path, *, overrides: Mapping[str, str] | None = None) -> LaneMap:
    """The finished map of an .xodr file; `overrides` as in `override_control`. InputError for anything that cannot be read."""
    draft = read_opendrive(path)
    if overrides:
        draft = override_control(draft, overrides)
    try:
        return assemble(draft)
    except RoadError as error:
        raise InputError(str(error), file=str(path), fix="Correct the lane in the map's editor.") from error


def read_opendrive(path: str | Path) -> MapDraft:
    """The lanes, signals and crosswalks of an .xodr file, in its own coordinates [m]; InputError with file:line:column."""
    return draft_network(read_xml(path, root="OpenDRIVE"), Path(path).stem)


def parse_opendrive(text: str | bytes, *, name: str = "opendrive") -> MapDraft:
    """As `read_opendrive`, from the file's text."""
    data = text.encode() if isinstance(text, str) else text
    return draft_network(parse_xml(data, file=name, root="OpenDRIVE"), name)


def draft_network(root: Element, name: str) -> MapDraft:
    """The draft of a parsed file."""
    # Damaged coefficients may overflow on the way to the check that names them.
    with np.errstate(over="ignore", invalid="ignore"):
        network = read_network(root)
        layout = lay_out(network)
        if not layout.strands:
            raise root.error("no lane in the file is wide enough to use", "Check lane types and widths.")
        cut_crossings(layout)
        signals = apply_control(network, layout)
        crosswalks = lay_crosswalks(network, layout)
    left_hand = sum(road.left_hand for road in network.roads.values())
    return MapDraft(
        name=name,
        lanes=tuple(to_draft(strand, DEFAULT_LIMIT) for strand in layout.strands),
        signals=signals,
        crosswalks=crosswalks,
        left_hand_traffic=2 * left_hand > len(network.roads),
        warnings=(*network.warnings, *layout.warnings),
        scenery=sight_blockers(network),
    )
