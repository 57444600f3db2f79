"""What is in the way: leaders on the own path, things that reach into it, people about to step into it, and parked things to pass.

A body on a lane of the own path is a leader by its lane position; anything else is projected onto the path.
"""

from __future__ import annotations

from sim.jit import kernel
from sim.localise import project
from sim.roads.pack import Roads
from sim.state import WorldState
from sim.traffic.plan import FAR, LEADER, OBSTACLE, WALKER, lead_at, stop_at

SIDE_GAP = 0.25  # m kept beside somebody on the same lane before following it
PASSING_GAP = 0.6  # m kept beside a parked thing when passing it
EDGE_GAP = 0.1  # m kept to the edge of the drivable area when passing
LOOK = 45.0  # m ahead in which bodies off the path are looked at
PASSING_SPEED = 7.0  # m/s
WALKING_AHEAD_S = 2.5  # s a person's walk is carried forward
ACTIVE = 1
PEDESTRIAN, OBJECT = 6, 7
STILL = 4


@kernel
def _offset(roads: Roads, lane: int, s: float, x: float, y: float) -> float:
    """Left offset [m] of a point from a lane's centreline near `s`."""
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    return (y - point.y) * point.cos - (x - point.x) * point.sin


@kernel
def _on_path(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: object, lag: float, path_lane: object, path_base: object, count: int
) -> bool:
    """Follow a body that is on a lane of the own path; True where it is on one (in the way or not)."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    speed = float(seen.speed)
    matched = False
    for h in range(seen.hypothesis_count):
        for k in range(count):
            if path_lane[k] != seen.hypothesis_lane[h]:
                continue
            place = seen.hypothesis_s[h] + speed * lag
            ahead = path_base[k] + place
            if ahead <= 0.0:
                matched = True
                continue
            offset = _offset(roads, path_lane[k], place, seen.x + seen.vx * lag, seen.y + seen.vy * lag)
            own = float(mind.d) if k == 0 and ahead < 15.0 else float(mind.goal_shift)
            if abs(offset - own) < 0.5 * (body.width + other.width) + SIDE_GAP:
                lead_at(mind, body, ahead - 0.5 * (body.length + other.length), speed, float(seen.accel), b, LEADER)
                matched = True
    return matched


@kernel
def _locate(roads: Roads, path_lane: object, path_base: object, count: int, guess: float, x: float, y: float) -> tuple[float, float, int]:
    """(distance ahead, offset to the left, place in the path) of a point near the path; distance FAR where it is beyond."""
    for k in range(count):
        length = roads.lanes[path_lane[k]].length
        if guess > path_base[k] + length and k + 1 < count:
            continue
        s, d = project(roads, path_lane[k], min(max(guess - path_base[k], 0.0), length), x, y)
        if s > length + 0.01 and k + 1 < count:
            guess = path_base[k] + s
            continue
        return path_base[k] + s, d, k
    return FAR, 0.0, 0


@kernel
def _oncoming_free(state: WorldState, w: int, a: int, distance: float, lag: float) -> bool:
    """Whether nobody comes towards us who would meet us beside a thing `distance` ahead."""
    body = state.bodies[w, a]
    tick = state.worlds[w].tick
    mine = (distance + 8.0) / max(float(body.speed), 3.5) + 1.0
    for n in range(state.neighbours[w, a, 0]):
        b = state.neighbours[w, a, 1 + n]
        if state.visible[w, a, n] == 0 or state.bodies[w, b].model == STILL:
            continue
        seen = state.history[w, (tick - min(int(state.minds[w, a].response_ticks), tick)) % state.history.shape[1], b]
        if seen.status != ACTIVE or seen.cos * body.cos + seen.sin * body.sin > -0.5:
            continue
        dx = seen.x + seen.vx * lag - body.x
        dy = seen.y + seen.vy * lag - body.y
        ahead = dx * body.cos + dy * body.sin
        across = dy * body.cos - dx * body.sin
        if ahead > 0.0 and abs(across) < 7.0 and (ahead - distance - 6.0) < max(float(seen.speed), 1.0) * (mine + 1.5):
            return False
    return True


@kernel
def _pass_by(
    state: WorldState, roads: Roads, w: int, a: int, b: int, ahead: float, offset: float, lane: int, s: float, lag: float
) -> None:
    """Plan to swing round a parked thing where there is room, else to stop before it."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    record = roads.lanes[lane]
    index = min(max(int(s / record.spacing + 0.5), 0), record.point_count - 1)
    point = roads.points[record.point_start + index]
    facing = abs(point.cos * other.cos + point.sin * other.sin)
    across = 0.5 * (other.width * facing + other.length * (1.0 - facing))
    along = 0.5 * (other.length * facing + other.width * (1.0 - facing))
    half = 0.5 * body.width
    gap = ahead - along - 0.5 * body.length
    left = offset + across + half + PASSING_GAP
    right = offset - across - half - PASSING_GAP
    left_fits = left + half < point.room_left - EDGE_GAP
    right_fits = -right + half < point.room_right - EDGE_GAP
    if left <= 0.0 or right >= 0.0:
        return
    swing = left
    if right_fits and (not left_fits or -right < left):
        swing = right
    elif not left_fits:
        stop_at(mind, gap - 2.0, OBSTACLE, b)
        return
    leaves_lane = abs(swing) + half > point.half_width + 0.3
    under_way = abs(mind.d - swing) < 0.6 * abs(swing)
    if leaves_lane and not under_way and not _oncoming_free(state, w, a, max(ahead, 0.0), lag):
        stop_at(mind, gap - 7.0, OBSTACLE, b)
        return
    if ahead < max(22.0, 3.5 * body.speed):
        mind.goal_shift = swing
        mind.desired_speed = min(mind.desired_speed, PASSING_SPEED)
    clear = abs(offset - mind.d) > across + half + 0.15
    if not clear and body.speed * body.speed > 1.6 * max(gap - 1.0, 0.1):
        stop_at(mind, gap - 1.0, OBSTACLE, b)


@kernel
def consider_body(
    state: WorldState, roads: Roads, w: int, a: int, b: int, seen: object, lag: float, path_lane: object, path_base: object, count: int, met: bool
) -> None:
    """Enter what one visible body means for the plan, besides its right of way."""
    body = state.bodies[w, a]
    other = state.bodies[w, b]
    mind = state.minds[w, a]
    if other.drive_through:
        return
    x = seen.x + seen.vx * lag
    y = seen.y + seen.vy * lag
    dx = x - body.x
    dy = y - body.y
    forward = dx * body.cos + dy * body.sin
    still = other.model == STILL
    if not still and other.kind != PEDESTRIAN:
        if _on_path(state, roads, w, a, b, seen, lag, path_lane, path_base, count) or met:
            return
    if forward < -6.0 or forward > LOOK or abs(dy * body.cos - dx * body.sin) > 4.0 + 0.6 * max(forward, 0.0):
        return
    ahead, offset, k = _locate(roads, path_lane, path_base, count, max(forward, 0.0), x, y)
    if ahead >= FAR:
        return
    if still:
        if ahead > -0.5 * (body.length + other.length) - 1.0:
            _pass_by(state, roads, w, a, b, ahead, offset, path_lane[k], ahead - path_base[k], lag)
        return
    if ahead <= 0.0:
        return
    lane = roads.lanes[path_lane[k]]
    index = min(max(int((ahead - path_base[k]) / lane.spacing + 0.5), 0), lane.point_count - 1)
    point = roads.points[lane.point_start + index]
    along_speed = seen.vx * point.cos + seen.vy * point.sin
    across_speed = seen.vy * point.cos - seen.vx * point.sin
    reach = 0.5 * (body.width + (other.width if abs(along_speed) > 0.5 or other.kind != PEDESTRIAN else other.length)) + SIDE_GAP
    gap = ahead - 0.5 * (body.length + other.length)
    own = mind.goal_shift
    soon = min(max(gap, 0.0) / max(float(body.speed), 1.0), WALKING_AHEAD_S)
    later = offset + across_speed * soon
    inside = abs(offset - own) < reach
    will_be = abs(later - own) < reach + 0.2
    if other.kind == PEDESTRIAN:
        if inside and will_be or (will_be and not met):
            stop_at(mind, gap - 1.5, WALKER, b)
    elif inside or will_be:
        lead_at(mind, body, max(gap, 0.1), max(along_speed, 0.0), float(seen.accel), b, LEADER)
