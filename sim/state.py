"""The evolving state of a batch of W worlds with A actor slots each, as structured arrays (one record per slot).

A record keeps what a kernel needs of one road user side by side in memory, and a dozen arrays cross the Python/kernel border
instead of a hundred. `bodies` is what physics and everybody's eyes work on; `minds` is hidden: only its owner reads it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.tables import share

HYPOTHESES = 4
HISTORY = 16
"""Ticks of the past that a slow responder can still look at (1.5 s)."""
NEIGHBOURS = 32
EVENTS = 64

BODY_DTYPE = np.dtype(
    [
        # what everybody reads of everybody comes first, in one cache line of 64 bytes: pose, motion, size, whether it is there.
        # Position is the box centre, speed the rear axle's (negative in reverse), vx/vy the centre's. status is a Status
        ("x", "f8"), ("y", "f8"), ("cos", "f4"), ("sin", "f4"), ("speed", "f4"), ("vx", "f4"), ("vy", "f4"),
        ("length", "f4"), ("width", "f4"), ("height", "f4"), ("radius", "f4"), ("status", "i4"), ("kind", "i4"), ("z", "f4"),
        # what others see of it
        ("indicator", "i4"), ("brake_light", "i4"), ("gesture", "i4"),
        # where it is on the map, judged from its pose alone: up to HYPOTHESES lanes while lanes overlap
        ("hypothesis_count", "i4"), ("hypothesis_lane", "i4", (HYPOTHESES,)), ("hypothesis_s", "f4", (HYPOTHESES,)),
        ("standing_since", "i4"), ("arrived_tick", "i4"),
        # what kind of thing it is
        ("size_class", "i4"), ("model", "i4"), ("drive_through", "i4"), ("thing", "i4"),
        # more of its motion, and what its driver asks for
        ("heading", "f4"), ("accel", "f4"), ("jerk", "f4"), ("steer", "f4"), ("yaw_rate", "f4"),
        ("command_accel", "f4"), ("command_steer", "f4"), ("gear", "i4"),
        # fixed properties of a vehicle
        ("wheelbase", "f4"), ("rear_to_centre", "f4"),
        ("steer_max", "f4"), ("steer_rate_max", "f4"), ("accel_max", "f4"), ("brake_max", "f4"), ("jerk_max", "f4"),
        ("speed_max", "f4"), ("reverse_speed_max", "f4"), ("accel_lag", "f4"), ("steer_lag", "f4"),
        # life cycle: ticks are -1 until they happen
        ("depart_tick", "i4"), ("entered_tick", "i4"), ("finished_tick", "i4"), ("offroad", "i4"),
        ("crashed", "i4"), ("distance", "f4"),
        # rests: it is where it was at the last tick
        ("rests", "i4"),
        # fills four whole cache lines
        ("unused", "i4", (4,)),
    ],
    align=True,
)  # fmt: skip


class Status(IntEnum):
    """Life of a slot: not there yet, on the road, reached its goal and gone, or an unused slot."""

    WAITING = 0
    ACTIVE = 1
    FINISHED = 2
    UNUSED = 3


class EventKind(IntEnum):
    """What `EVENT_DTYPE.kind` means; `a` is the actor it happened to, `b` the other one or -1."""

    COLLISION = 0
    OFFROAD = 1
    FINISHED = 2
    DEADLOCK = 3
    RED_LIGHT = 4
    STOP_IGNORED = 5


EVENT_DTYPE = np.dtype(
    [
        ("tick", "i4"), ("kind", "i4"), ("a", "i4"), ("b", "i4"), ("x", "f4"), ("y", "f4"),
        ("time_s", "f4"), ("speed", "f4"), ("fault_a", "i4"), ("fault_b", "i4"),
    ],
    align=True,
)  # fmt: skip
"""time_s: first-contact time from the start of the episode; speed: impact (closing) speed [m/s]; fault_*: 1 where that actor is
at fault."""

CONTROL_DTYPE = np.dtype(
    [("accel", "f4"), ("steer", "f4"), ("indicator", "i4"), ("gear", "i4"), ("gesture", "i4"), ("given", "i4")], align=True
)
"""Control of an EXTERNAL actor; `given` = 0 keeps the previous one."""


class Reason(IntEnum):
    """Why a traffic driver holds the speed it does: the tightest of its constraints."""

    FREE = 0
    CURVE = 1
    LEADER = 2
    STOP_LINE = 3
    SIGNAL = 4
    YIELD = 5
    ARRIVAL_ORDER = 6
    EXIT_BLOCKED = 7
    CROSSWALK = 8
    PEDESTRIAN = 9
    CREEP = 10
    CONTACT = 11
    MERGE = 12
    OBSTACLE = 13
    REVERSE = 14
    WAVED = 15


SEEN_DTYPE = np.dtype(
    [
        ("x", "f8"), ("y", "f8"), ("cos", "f4"), ("sin", "f4"), ("speed", "f4"), ("accel", "f4"), ("vx", "f4"), ("vy", "f4"),
        ("indicator", "i4"), ("gesture", "i4"), ("status", "i4"), ("standing_since", "i4"), ("arrived_tick", "i4"),
        ("hypothesis_count", "i4"), ("hypothesis_lane", "i4", (HYPOTHESES,)), ("hypothesis_s", "f4", (HYPOTHESES,)),
    ],
    align=True,
)  # fmt: skip
"""What one tick showed of a body to everybody who could see it; `history` keeps HISTORY ticks of it for slow responders."""

MIND_DTYPE = np.dtype(
    [
        # where it is going; lane, s, d follow its own route (d is left of the lane's centreline)
        ("route", "i4"), ("lane", "i4"), ("s", "f8"), ("d", "f4"), ("shift", "f4"), ("to_goal", "f4"),
        # style, see sim.traffic.styles
        ("speed_factor", "f4"), ("time_gap", "f4"), ("min_gap", "f4"), ("accel", "f4"), ("decel", "f4"), ("lateral_accel", "f4"),
        ("margin_s", "f4"), ("patience_s", "f4"), ("assertiveness", "f4"), ("roll_speed", "f4"), ("rest_offset", "f4"),
        ("politeness", "f4"), ("response_ticks", "i4"), ("habits", "i4"),
        # the plan of the last decision; distances are measured from the box centre at plan_tick
        ("plan_tick", "i4"), ("reason", "i4"), ("other", "i4"), ("desired_speed", "f4"), ("stop_distance", "f4"),
        ("lead_gap", "f4"), ("lead_speed", "f4"), ("lead_accel", "f4"), ("lead", "i4"),
        # what it remembers of the junction ahead
        ("gate", "i4"), ("zone", "i4"), ("satisfied", "i4"), ("committed", "i4"), ("claimed_tick", "i4"), ("wait_ticks", "i4"),
        # lane change, obstacle passing and reversing
        ("change_to", "i4"), ("change_tick", "i4"), ("goal_shift", "f4"), ("reverse_until", "f4"), ("indicator", "i4"),
        ("gesture", "i4"), ("stay_until", "i4"),
        # free walking of pedestrians
        ("walk_speed", "f4"), ("walk_vx", "f4"), ("walk_vy", "f4"), ("track", "i4"), ("track_length", "i4"), ("jaywalks", "i4"),
        # a record that was held up: by so many ticks, and whether it is in this one
        ("track_late", "i4"), ("held", "i4"),
        # pull: acceleration [m/s²] it would use now; quiet_ticks: how long it has waited with nobody on the move in its way;
        # outranked: somebody else who waits would sooner break a standoff;
        # claimants: how many stand or arrive at the other stop lines
        ("pull", "f4"), ("quiet_ticks", "i4"), ("outranked", "i4"), ("claimants", "i4"),
        # hesitation [s]: how long it looks before it takes its turn, for each other claimant; look_ticks: how long it has looked
        # calm: nothing in sight is likely to ask for a quick answer
        ("hesitation", "f4"), ("look_ticks", "i4"), ("calm", "i4"),
    ],
    align=True,
)  # fmt: skip
"""Hidden state of one road user: nobody else reads it."""


RUNS_STOPS, RUNS_REDS, JUMPS_QUEUE, NO_SIGNAL, OBLIVIOUS, COURTEOUS = 1, 2, 4, 8, 16, 32
"""Bits of `MIND_DTYPE.habits`: how a style breaks (or over-keeps) the rules."""

WORLD_DTYPE = np.dtype(
    [
        ("seed", "u8"), ("branch", "u8"), ("tick", "i8"), ("actors", "i8"), ("road_map", "i4"), ("friction", "f4"),
        ("visibility", "f4"), ("event_count", "i4"), ("wall_start", "i4"), ("wall_end", "i4"),
        # of the line of `spots`: how many are in it, the largest radius [m] and the highest speed [m/s] among them
        ("present", "i4"), ("widest", "f4"), ("fastest", "f4"), ("unused", "i4"),
        ("lane_start", "i4"), ("lane_end", "i4"),  # of its map, in the packed roads
    ],
    align=True,
)  # fmt: skip

SPOT_DTYPE = np.dtype(
    [("x", "f8"), ("y", "f8"), ("along", "f8"), ("radius", "f4"), ("speed", "f4"), ("slot", "i4"), ("unused", "i4")], align=True
)
"""Where an active body is, side by side with those next to it: its centre, also along the line (`sim.contact.line_up`), its
radius [m] and how fast it is."""

ZONE_DTYPE = np.dtype([("last_entry", "i4"), ("claimed_since", "i4"), ("last_claim", "i4"), ("reported", "i4")], align=True)
"""Deadlock watch of one conflict cluster in one world."""


PATH_LANES = 12
PATH_DTYPE = np.dtype(
    [
        ("lane", "i4", (PATH_LANES,)), ("base", "f8", (PATH_LANES,)),
        ("contested", "i4", (PATH_LANES,)), ("cluster", "i4", (PATH_LANES,)),
        ("matrix", "i4", (PATH_LANES,)),
        ("their_lane", "i4", (2,)), ("their_base", "f8", (2,)),
        ("heeded", "i4", (NEIGHBOURS,)), ("heeded_count", "i4"),
    ],
    align=True,
)  # fmt: skip
"""Working memory of a deciding driver: the lanes ahead and the distance [m] to each one's start; which of them are in conflict
with others, nearest first, the cluster of each of those and where its row of `cluster_matrix` starts; the lanes ahead of somebody
else, as far as foreseen; the slots of all who are in sight and matter to it."""


SIGHT_DTYPE = np.dtype([(name, "f8", (NEIGHBOURS,)) for name in ("x", "y", "distance", "half", "height")], align=True)
"""Working memory of one who looks around: direction, distance [m], tangent of the half size and height [m] of each neighbour."""


class WorldState(NamedTuple):
    """Everything that changes from tick to tick; W worlds, A slots, H ticks of history, C clusters."""

    bodies: NDArray[np.void]
    """(W, A) BODY_DTYPE"""
    minds: NDArray[np.void]
    """(W, A) MIND_DTYPE"""
    history: NDArray[np.void]
    """(W, H, A) SEEN_DTYPE; row tick % H"""
    neighbours: NDArray[np.int16]
    """(W, A, 1 + NEIGHBOURS): how many, then slots by distance when the list was made"""
    visible: NDArray[np.uint8]
    """(W, A, NEIGHBOURS): 1 where the owner of the list can see that neighbour"""
    worlds: NDArray[np.void]
    """(W,) WORLD_DTYPE"""
    zones: NDArray[np.void]
    """(W, C) ZONE_DTYPE"""
    events: NDArray[np.void]
    """(W, EVENTS) EVENT_DTYPE"""
    order: NDArray[np.int16]
    """(W, A) slots by their near end along the line, kept nearly sorted from tick to tick; those that are not there come last"""
    spots: NDArray[np.void]
    """(W, A) SPOT_DTYPE, in `order`; the first `worlds.present` of them hold"""
    paths: NDArray[np.void]
    """(W,) PATH_DTYPE"""
    sights: NDArray[np.void]
    """(W,) SIGHT_DTYPE"""


share(
    WorldState,
    {
        "bodies": (BODY_DTYPE, 2), "minds": (MIND_DTYPE, 2), "history": (SEEN_DTYPE, 3), "neighbours": (np.dtype(np.int16), 3),
        "visible": (np.dtype(np.uint8), 3), "worlds": (WORLD_DTYPE, 1), "zones": (ZONE_DTYPE, 2), "events": (EVENT_DTYPE, 2),
        "order": (np.dtype(np.int16), 2), "spots": (SPOT_DTYPE, 2), "paths": (PATH_DTYPE, 1), "sights": (SIGHT_DTYPE, 1),
    },
)  # fmt: skip
