"""The viewer's picture: the world with its overlays, the panel beside it, the time line below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pygame
from numpy.typing import NDArray

from sim.interface import Floats
from sim.viewer.actors import draw_body, draw_contact
from sim.viewer.canvas import ALARM, FAINT, INK, PAPER, Canvas, Colour, View, nice_step, text_width
from sim.viewer.cast import OTHERS_COLOUR
from sim.viewer.keys import MENU
from sim.viewer.mind import Trace, claims_in, futures_in, reason_in
from sim.viewer.overlays import (
    Overlay,
    draw_beliefs,
    draw_futures,
    draw_grid,
    draw_lanes,
    draw_percepts,
    draw_plan,
    draw_zones,
)
from sim.viewer.panel import CURVE_S, Chosen, Status, draw_help, draw_panel, draw_timeline
from sim.viewer.road import MapKey, draw_road
from sim.viewer.viewer import Badge, Viewer
from sim.viewer.zones import conflict_zones

NEAR_M = 4.0
"""Somebody is whoever is no further than this from where a driver sees him."""
TRACE_TICKS = 3
"""So old may a trace be that is still shown: what is decided from a tick is known with the next."""
CONTACT_TICKS = 15
_NOBODY = Badge(label="", colour=OTHERS_COLOUR)


def draw(viewer: Viewer) -> pygame.Surface:
    """The picture of now."""
    canvas = Canvas(*viewer.size)
    by_actor = {int(row["actor"]): row for row in viewer.rows()}
    if viewer.camera.follow and viewer.chosen in by_actor:
        row = by_actor[viewer.chosen]
        viewer.camera = replace(viewer.camera, x=float(row["x"]), y=float(row["y"]))
    view, trace = viewer.view(), _trace(viewer, _observer(viewer))
    canvas.clip(view.left, view.top, view.width, view.height)
    _draw_world(canvas, viewer, view, by_actor, trace)
    _draw_scale(canvas, view)
    canvas.unclip()
    status = _status(viewer)
    shown = {str(one): wanted for one, wanted in viewer.overlays.items()}
    curves = viewer.overlays[Overlay.CURVES]
    draw_panel(canvas, status, _chosen(viewer, by_actor, curves), _beliefs(viewer, trace, by_actor), shown)
    draw_timeline(canvas, status)
    if viewer.message:
        width = text_width(viewer.message, 14) + 24.0
        canvas.rectangle(0.5 * (view.width - width), 14.0, width, 26.0, PAPER)
        canvas.text((0.5 * view.width, 27.0), viewer.message, 14, INK, "centre")
    if viewer.help:
        draw_help(canvas, MENU, view.width)
    return canvas.finished()


def _draw_world(canvas: Canvas, viewer: Viewer, view: View, by_actor: Mapping[int, np.void], trace: Trace) -> None:
    feed, shown, badges = viewer.feed, viewer.overlays, viewer.show.badges
    draw_road(canvas, feed.road_map, view, viewer.at * feed.header.tick_s)
    canvas.clip(view.left, view.top, view.width, view.height)
    if shown[Overlay.LANES]:
        draw_lanes(canvas, feed.road_map, view)
    if shown[Overlay.ZONES]:
        draw_zones(canvas, _zones(MapKey(feed.road_map)), view)
    if shown[Overlay.GRID]:
        draw_grid(canvas, trace, view)
    if shown[Overlay.FUTURES]:
        colours = {actor: badge.colour for actor, badge in badges.items()}
        draw_futures(canvas, trace, view, colours, _in_futures(trace, by_actor))
    if shown[Overlay.PLAN]:
        draw_plan(canvas, trace, view)
    for actor, row in sorted(by_actor.items(), key=lambda item: item[0] == feed.header.ego):
        colour = badges.get(actor, _NOBODY).colour
        draw_body(canvas, view, feed.header.actors[actor], row, colour, ego=actor == feed.header.ego)
    if shown[Overlay.PERCEPTS]:
        draw_percepts(canvas, trace, view)
    if shown[Overlay.BELIEFS]:
        draw_beliefs(canvas, trace, view)
    _draw_labels(canvas, viewer, view, by_actor)
    for event in _contacts(viewer):
        if -1.0 <= viewer.at - int(event["tick"]) <= CONTACT_TICKS:
            draw_contact(canvas, view, float(event["x"]), float(event["y"]))


def _draw_labels(canvas: Canvas, viewer: Viewer, view: View, by_actor: Mapping[int, np.void]) -> None:
    """Who it is below each; a ring round who is chosen, another round who is driven by hand."""
    for actor, row in by_actor.items():
        at = view.pixels(np.array([[float(row["x"]), float(row["y"])]]))[0]
        place, body = (float(at[0]), float(at[1])), viewer.feed.header.actors[actor]
        reach = 0.6 * body.length * view.scale
        if actor == viewer.chosen:
            canvas.ring(place, reach + 5.0, INK, 1.5)
        if actor == viewer.driven:
            canvas.ring(place, reach + 9.0, ALARM, 2.0)
        label = viewer.show.badges.get(actor, _NOBODY).label
        if label:
            canvas.text((place[0], place[1] + 0.5 * body.width * view.scale + 14.0), label, 12, INK, "centre", PAPER)


def _draw_scale(canvas: Canvas, view: View) -> None:
    length = nice_step(view.width / view.scale, 7)
    left, bottom = view.left + 14.0, view.top + view.height - 12.0
    bar = np.array([[left, bottom], [left + length * view.scale, bottom]])
    canvas.line(bar, PAPER, 5.0)
    canvas.line(bar, INK, 2.0)
    canvas.text((left, bottom - 11.0), f"{length:g} m", 11, INK, "left", PAPER)


@lru_cache(maxsize=4)
def _zones(key: MapKey) -> tuple[Floats, ...]:
    return conflict_zones(key.drawing)


def _observer(viewer: Viewer) -> int | None:
    """Whose mind is shown: who is chosen if its driver traces anything, else ego."""
    return viewer.chosen if _trace(viewer, viewer.chosen) else viewer.feed.header.ego


def _trace(viewer: Viewer, actor: int | None) -> Trace:
    """The last trace of an actor that is not too old."""
    if actor is not None:
        for tick in range(viewer.tick, max(viewer.tick - TRACE_TICKS, -1), -1):
            found = viewer.feed.trace(tick, actor)
            if found:
                return found
    return {}


def _in_futures(trace: Trace, by_actor: Mapping[int, np.void]) -> list[int]:
    """Actor of each road user in the joint futures, by where it is now; -1 where nobody is near."""
    futures, _ = futures_in(trace)
    return [_actor_at(place, by_actor) for place in futures[0, :, 0]] if len(futures) else []


def _actor_at(place: Floats, by_actor: Mapping[int, np.void]) -> int:
    gaps = {actor: float(np.hypot(row["x"] - place[0], row["y"] - place[1])) for actor, row in by_actor.items()}
    nearest = min(gaps, key=lambda actor: gaps[actor], default=-1)
    return nearest if nearest >= 0 and gaps[nearest] <= NEAR_M else -1


def _beliefs(viewer: Viewer, trace: Trace, by_actor: Mapping[int, np.void]) -> list[tuple[str, Colour, float]]:
    found = []
    for place, chance in claims_in(trace) if viewer.overlays[Overlay.BELIEFS] else ():
        badge = viewer.show.badges.get(_actor_at(place, by_actor), _NOBODY)
        found.append((badge.label, badge.colour, chance))
    return found


def _chosen(viewer: Viewer, by_actor: Mapping[int, np.void], curves: bool) -> Chosen | None:
    actor = viewer.chosen
    if actor is None:
        return None
    badge, row = viewer.show.badges.get(actor, _NOBODY), by_actor.get(actor)
    return Chosen(
        label=badge.label, colour=badge.colour, actor=viewer.feed.header.actors[actor], row=row,
        why="" if row is None or actor == viewer.driven else _why(viewer, actor, row),
        hands=viewer.hands if actor == viewer.driven else None, past=_past(viewer, actor) if curves else np.zeros((0, 3)),
    )  # fmt: skip


def _why(viewer: Viewer, actor: int, row: np.void) -> str:
    """Why it drives as it does, in words."""
    trace, reason = _trace(viewer, actor), int(row["reason"])
    if "manoeuvre" in trace:  # in recordings the reason is the row's
        given = reason_in(trace)
        return viewer.show.reasons.get(reason if given is None else given, "")
    names = viewer.feed.header.reason_names
    return names[reason].lower().replace("_", " ") if 0 <= reason < len(names) else ""


def _past(viewer: Viewer, actor: int) -> Floats:
    """(T, 3) of time, speed and jerk over the last seconds."""
    tick_s, found = viewer.feed.header.tick_s, []
    for tick in range(max(viewer.tick - round(CURVE_S / tick_s), 0), viewer.tick + 1):
        rows = viewer.feed.rows(tick)
        found += [(tick * tick_s, float(row["speed"]), float(row["jerk"])) for row in rows[rows["actor"] == actor]]
    return np.array(found, np.float64).reshape(-1, 3)


def _contacts(viewer: Viewer) -> NDArray[np.void]:
    names, events = viewer.feed.header.event_names, viewer.feed.events()
    return events[events["kind"] == names.index("COLLISION")] if "COLLISION" in names else events[:0]


def _status(viewer: Viewer) -> Status:
    header, feed = viewer.feed.header, viewer.feed
    marks: list[tuple[float, Colour]] = [(float(event["tick"]) * header.tick_s, FAINT) for event in feed.events()]
    marks += [(float(event["tick"]) * header.tick_s, ALARM) for event in _contacts(viewer)]
    doing = f"{viewer.rate:g} ×   {'playing' if viewer.playing else 'paused'}{'' if feed.ended else ', live'}"
    if viewer.at_end and feed.verdict:
        doing = feed.verdict
    return Status(
        title=f"{header.scenario}   seed {header.seed}", state=f"{viewer.at * header.tick_s:.1f} s   {doing}",
        time_s=viewer.at * header.tick_s, last_s=feed.last_tick * header.tick_s, duration_s=header.duration_s, marks=marks,
    )  # fmt: skip
