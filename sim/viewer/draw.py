"""Pictures without a display: a map, and a whole episode on one sheet to debug with.

The sheet of an episode: the map with everybody's path on the left, six moments on the right, below them speed and acceleration
over time with the same moments marked, ego's reasons, and who is who. Colours follow `sim.viewer.cast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pygame

from sim.interface import Colour as Light
from sim.interface import Floats
from sim.recording import Ending, Recording
from sim.roads.lane_map import LaneKind, LaneMap, Regulation
from sim.roads.outline import MapOutline, outline
from sim.viewer.actors import describe_actor, draw_bodies, draw_paths
from sim.viewer.canvas import ALARM, FAINT, INK, PAPER, Canvas, Colour, View, fit, nice_step, shorten, text_width
from sim.viewer.cast import Member, area, choose_cast, choose_moments, contacts, focus, padded
from sim.viewer.charts import draw_curves, draw_reasons
from sim.viewer.road import draw_light, draw_road, draw_sign

SHEET = (1800, 1200)
MOMENTS = 6
_EDGE = 16.0
_HEAD = 62.0
_MAIN = 720.0
_CHARTS = 300.0
_PASSED: Colour = (0, 120, 70)
_INSET_RATIO = 2.0
"""The whole map is shown in a corner where it is this much larger than what the panel shows."""
_SAME_VIEW_SPAN = 95.0
"""Up to this size [m] all moments show the same area; beyond it each follows ego."""
_FOLLOW_SPAN = 64.0
_FOCUS_REACH = 0.4
_DETAIL_SCALE = 4.0
"""Pixels a metre from which a map shows its signs and markings well enough without close-ups."""
_GAP = 8.0


def draw_map(road_map: LaneMap, size: tuple[int, int] = (1600, 1000)) -> pygame.Surface:
    """A whole map with its title, scale and signs; where it is too large for details, with close-ups of its largest junctions."""
    drawing = outline(road_map)
    canvas = Canvas(*size)
    x0, y0, x1, y1 = drawing.bounds()
    bounds = (x0 - 5.0, y0 - 5.0, x1 + 5.0, y1 + 5.0)
    place = (_EDGE, 50.0, size[0] - 2.0 * _EDGE, size[1] - 100.0)
    chosen = _junctions(drawing) if fit(bounds, *place).scale < _DETAIL_SCALE else []
    column = (place[3] - 2.0 * _GAP) / 3.0
    columns = -(-len(chosen) // 3)
    view = fit(bounds, place[0], place[1], place[2] - columns * (column + _GAP), place[3])
    draw_road(canvas, drawing, view)
    _draw_scale(canvas, view)
    for number, (name, around) in enumerate(chosen):
        left = place[0] + view.width + _GAP + (number // 3) * (column + _GAP)
        corner = (left, place[1] + (number % 3) * (column + _GAP))
        _draw_close_up(
            canvas, drawing, view, f"{number + 1}   {_junction_name(road_map, name)}", around, (*corner, column, column)
        )
    driving = sum(lane.kind is LaneKind.DRIVING for lane in drawing.lanes)
    junctions = len({lane.junction for lane in drawing.lanes if lane.junction >= 0})
    canvas.text((_EDGE, 26.0), drawing.name, 20)
    facts = (
        f"{driving} driving lanes, {junctions} junctions, {len(drawing.signals)} signals, {len(drawing.crosswalks)} crosswalks"
    )
    canvas.text((size[0] - _EDGE, 26.0), facts, 14, FAINT, "right")
    _draw_key(canvas, size[1] - 26.0, "signal")
    return canvas.finished()


def draw_episode(recording: Recording, size: tuple[int, int] = SHEET) -> pygame.Surface:
    """An episode on one sheet; `size` must leave room for the panels (at least 1200 x 1000)."""
    if size[0] < 1200 or size[1] < 1000:
        raise ValueError(f"an episode's picture needs at least 1200 x 1000 pixels, got {size[0]} x {size[1]}")
    canvas = Canvas(*size)
    cast = choose_cast(recording)
    moments = choose_moments(recording, cast, MOMENTS)
    bounds = area(recording, cast)
    main = min(_MAIN, 0.42 * size[0])
    _draw_title(canvas, recording)
    _draw_overview(canvas, recording, cast, bounds, (_EDGE, _HEAD, main, _MAIN))
    strip = (_EDGE + main + 10.0, _HEAD, size[0] - main - 2.0 * _EDGE - 10.0, _MAIN)
    _draw_moments(canvas, recording, cast, moments, bounds, strip)
    _draw_charts(canvas, recording, cast, moments, _HEAD + _MAIN + 14.0)
    _draw_legend(canvas, recording, cast, _HEAD + _MAIN + _CHARTS + 34.0)
    return canvas.finished()


def save(picture: pygame.Surface, path: Path) -> None:
    """Write a picture; its folder is made, and the file appears whole or not at all. OSError where it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        pygame.image.save(picture, str(part))
        part.replace(path)
    except pygame.error as error:
        raise OSError(f"the picture {path} cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _junctions(drawing: MapOutline) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Up to six junctions with their surroundings [m], those with most lanes first; never two that would show the same."""
    found: dict[int, list[Floats]] = {}
    for lane in drawing.lanes:
        if lane.junction >= 0 and lane.kind is LaneKind.DRIVING:
            found.setdefault(lane.junction, []).append(lane.centre)
    chosen: list[tuple[int, tuple[float, float, float, float]]] = []
    for junction, lines in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        points = np.concatenate(lines)
        around = padded(points.min(axis=0), points.max(axis=0))
        middle = 0.5 * (around[0] + around[2]), 0.5 * (around[1] + around[3])
        if all(not (other[0] < middle[0] < other[2] and other[1] < middle[1] < other[3]) for _, other in chosen):
            chosen.append((junction, around))
        if len(chosen) == MOMENTS:
            break
    return chosen


def _draw_close_up(
    canvas: Canvas,
    drawing: MapOutline,
    whole: View,
    words: str,
    around: tuple[float, float, float, float],
    place: tuple[float, float, float, float],
) -> None:
    """One part of the map, and where it is on the whole."""
    view = fit(around, *place)
    draw_road(canvas, drawing, view)
    canvas.rectangle(place[0], place[1], text_width(words, 13) + 14.0, 21.0, PAPER)
    canvas.text((place[0] + 7.0, place[1] + 10.5), words, 13)
    _frame(canvas, place)
    corners = whole.pixels(np.array([[around[0], around[3]], [around[2], around[1]]]))
    span = corners[1] - corners[0]
    canvas.rectangle(corners[0, 0], corners[0, 1], span[0], span[1], ALARM, 1.5)
    canvas.text((corners[0, 0] + 3.0, corners[0, 1] - 8.0), words.split()[0], 13, ALARM, "left", PAPER)


def _junction_name(road_map: LaneMap, junction: int) -> str:
    name = road_map.junction_names[junction] if junction < len(road_map.junction_names) else str(junction)
    return name if name.startswith("junction") else f"junction {name}"


def _draw_title(canvas: Canvas, recording: Recording) -> None:
    header, footer = recording.header, recording.footer
    title = f"{header.scenario}   seed {header.seed}"
    canvas.text((_EDGE, 22.0), title, 21)
    good = footer.ending is Ending.PASSED
    verdict = "PASSED" if good else f"{footer.ending.replace('_', ' ').upper()}: {'; '.join(footer.reasons)}"
    left = _EDGE + text_width(title, 21) + 24.0
    words = shorten(verdict, canvas.width - left - _EDGE - 150.0, 19)
    canvas.text((left, 22.0), words, 19, _PASSED if good else ALARM)
    canvas.text(
        (canvas.width - _EDGE, 22.0),
        f"{recording.last_tick * header.tick_s:.1f} s of {header.duration_s:g} s",
        15,
        FAINT,
        "right",
    )
    drawn = ", ".join(f"{name} {_short(value)}" for name, value in header.parameters.items())
    version = header.versions.get("avstack-sim", "")
    facts = [
        f"map {recording.road_map.name}",
        f"sensing {header.sensing}",
        header.weather,
        f"friction {header.friction:g}",
        drawn,
    ]
    hashed = f"trace {footer.trace_hash[:12]}" if footer.trace_hash else ""
    canvas.text(
        (canvas.width - _EDGE, 46.0), "   ".join(part for part in (f"avstack {version}", hashed) if part), 12, FAINT, "right"
    )
    canvas.text((_EDGE, 46.0), shorten("   ".join(fact for fact in facts if fact), canvas.width - 420.0, 13), 13, FAINT)


def _draw_overview(
    canvas: Canvas,
    recording: Recording,
    cast: Sequence[Member],
    bounds: tuple[float, float, float, float],
    place: tuple[float, float, float, float],
) -> None:
    """The map with all paths, the whole of a large map in a corner."""
    view = fit(bounds, *place)
    draw_road(canvas, recording.road_map, view)
    draw_paths(canvas, recording, cast, view)
    _draw_scale(canvas, view)
    x0, y0, x1, y1 = recording.road_map.bounds()
    if max(x1 - x0, y1 - y0) > _INSET_RATIO * max(view.width, view.height) / view.scale:
        _draw_inset(canvas, recording.road_map, view, cast)
    _frame(canvas, place)


def _draw_inset(canvas: Canvas, drawing: MapOutline, view: View, cast: Sequence[Member]) -> None:
    """The whole map in the corner where it hides least of the paths; the lower left one has the scale."""
    size = 0.24 * view.width
    right, bottom = view.left + view.width - size - 6.0, view.top + view.height - size - 6.0
    corners = ((right, view.top + 6.0), (view.left + 6.0, view.top + 6.0), (right, bottom))
    paths = [view.pixels(np.column_stack((member.track["x"], member.track["y"]))) for member in cast if member.main]
    hidden = [
        sum(int(np.sum(np.all(np.abs(path - np.array(at) - 0.5 * size) < 0.6 * size, axis=1))) for path in paths)
        for at in corners
    ]
    place = (*corners[int(np.argmin(hidden))], size, size)
    x0, y0, x1, y1 = drawing.bounds()
    inset = fit((x0 - 10.0, y0 - 10.0, x1 + 10.0, y1 + 10.0), *place)
    canvas.rectangle(*place, PAPER)
    canvas.clip(*place)
    for lane in drawing.lanes:
        if lane.kind is LaneKind.DRIVING:
            canvas.line(inset.pixels(lane.centre), FAINT, 1.0)
    half = np.array([view.width, view.height]) / (2.0 * view.scale)
    shown = inset.pixels(np.array([[view.x - half[0], view.y + half[1]], [view.x + half[0], view.y - half[1]]]))
    canvas.unclip()
    span = np.maximum(shown[1] - shown[0], 4.0)
    canvas.rectangle(shown[0, 0], shown[0, 1], span[0], span[1], ALARM, 2.0)
    _frame(canvas, place)


def _draw_moments(
    canvas: Canvas,
    recording: Recording,
    cast: Sequence[Member],
    moments: Sequence[int],
    bounds: tuple[float, float, float, float],
    place: tuple[float, float, float, float],
) -> None:
    left, top, width, height = place
    across, down, gap = MOMENTS // 2, 2, 8.0
    cell = (width - (across - 1) * gap) / across, (height - (down - 1) * gap) / down
    impacts = {int(event["tick"]) for event in contacts(recording)}
    for number, tick in enumerate(moments):
        corner = left + (number % across) * (cell[0] + gap), top + (number // across) * (cell[1] + gap)
        view = _moment_view(recording, cast, tick, bounds, (*corner, *cell))
        time_s = tick * recording.header.tick_s
        draw_road(canvas, recording.road_map, view, time_s)
        draw_bodies(canvas, recording, cast, tick, view)
        hit = any(abs(tick - impact) <= 1 for impact in impacts)
        words = f"{number + 1}   {time_s:.1f} s" + ("   contact" if hit else "")
        canvas.rectangle(corner[0], corner[1], text_width(words, 14) + 14.0, 22.0, PAPER)
        canvas.text((corner[0] + 7.0, corner[1] + 11.0), words, 14, ALARM if hit else INK)
        _frame(canvas, (*corner, *cell), ALARM if hit else FAINT)


def _moment_view(
    recording: Recording,
    cast: Sequence[Member],
    tick: int,
    bounds: tuple[float, float, float, float],
    place: tuple[float, float, float, float],
) -> View:
    """The episode's whole area while it is small; else ego's surroundings, or those of the first contact, or of everybody."""
    if max(bounds[2] - bounds[0], bounds[3] - bounds[1]) <= _SAME_VIEW_SPAN:
        return fit(bounds, *place)
    impacts = contacts(recording)
    rows = recording.at(tick)
    mine = rows[rows["actor"] == recording.header.ego] if recording.header.ego is not None else rows[:0]
    here = impacts[np.abs(impacts["tick"] - tick) <= 1]
    if len(mine) == 0 and len(impacts) == 0:
        return fit(bounds, *place)
    if len(mine) == 0:
        x, y = float(impacts["x"][0]), float(impacts["y"][0])
    else:
        x, y = _beside_ego(mine[0], focus(recording, cast))
        if len(here) and np.hypot(here["x"][0] - x, here["y"][0] - y) > _FOCUS_REACH * _FOLLOW_SPAN:
            x, y = float(here["x"][0]), float(here["y"][0])  # somebody else's collision, out of ego's sight
    half = 0.5 * _FOLLOW_SPAN
    return fit((x - half, y - half, x + half, y + half), *place)


def _beside_ego(ego: np.void, met: Floats | None) -> tuple[float, float]:
    """Where to look: at the place of the encounter for as long as ego is there, to show what moved; else ahead of it."""
    x, y, heading = float(ego["x"]), float(ego["y"]), float(ego["heading"])
    if met is not None and np.hypot(x - met[0], y - met[1]) < _FOCUS_REACH * _FOLLOW_SPAN:
        return float(met[0]), float(met[1])
    ahead = 0.18 * _FOLLOW_SPAN
    return x + ahead * float(np.cos(heading)), y + ahead * float(np.sin(heading))


def _draw_charts(canvas: Canvas, recording: Recording, cast: Sequence[Member], moments: Sequence[int], top: float) -> None:
    width = 0.5 * (canvas.width - 2.0 * _EDGE)
    strip = 20.0
    ego = next((member for member in cast if member.actor == recording.header.ego), None)
    for column, left in (("speed", _EDGE), ("accel", _EDGE + width)):
        draw_curves(canvas, recording, cast, moments, (left, top, width, _CHARTS - strip), column)
        if ego is not None:
            draw_reasons(canvas, recording, ego, (left, top + _CHARTS - strip, width, strip))


def _draw_legend(canvas: Canvas, recording: Recording, cast: Sequence[Member], top: float) -> None:
    left, line = _EDGE, top
    for member in cast:
        if not member.main:
            continue
        name = "" if member.label == "ego" else member.label + "  "
        words = shorten(name + describe_actor(recording.header.actors[member.actor]), 420.0, 13)
        needed = 46.0 + text_width(words, 13)
        if left + needed > canvas.width - _EDGE:
            left, line = _EDGE, line + 20.0
        canvas.line(np.array([[left, line], [left + 20.0, line]]), member.colour, 4.0)
        canvas.text((left + 26.0, line), words, 13)
        left += needed
    others = sum(not member.main for member in cast)
    if others:
        canvas.text((left, line), f"{others} more in grey", 13, FAINT)
    notes = (
        "signal at the moment shown   dots on a path: seconds   amber corners: indicator   red bar: brake   numbers: speed in m/s"
    )
    _draw_key(canvas, canvas.height - 18.0, notes)


def _draw_key(canvas: Canvas, middle: float, notes: str) -> None:
    """What the signs mean."""
    left = _EDGE + 8.0
    for words, regulation in (("stop", Regulation.STOP), ("all-way stop", Regulation.ALL_WAY_STOP), ("yield", Regulation.YIELD)):
        draw_sign(canvas, (left, middle), 7.0, regulation)
        canvas.text((left + 14.0, middle), words, 12, FAINT)
        left += 40.0 + text_width(words, 12)
    for light in (Light.GREEN, Light.YELLOW, Light.RED):
        draw_light(canvas, (left, middle), 6.0, light)
        left += 16.0
    canvas.text((left + 4.0, middle), notes, 12, FAINT)


def _draw_scale(canvas: Canvas, view: View) -> None:
    """A bar of a round length in the lower left corner; north is up."""
    length = nice_step(view.width / view.scale, 6)
    left, bottom = view.left + 14.0, view.top + view.height - 14.0
    canvas.line(np.array([[left, bottom], [left + length * view.scale, bottom]]), PAPER, 5.0)
    canvas.line(np.array([[left, bottom], [left + length * view.scale, bottom]]), INK, 2.0)
    canvas.text((left, bottom - 12.0), f"{length:g} m", 12, INK, "left", PAPER)


def _frame(canvas: Canvas, place: tuple[float, float, float, float], colour: Colour = FAINT) -> None:
    canvas.rectangle(*place, colour, 2.0 if colour == ALARM else 1.0)


def _short(value: float | int | str | bool) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
