"""Motion that passengers do not feel: what behaviours ask, as a trajectory of little jerk, and its tracking.

memory = start(spec)                                             # once
path = reference_path(road_map, route, spec, config.path)        # once a route
state, memory = observe(frame, memory, config)                   # each tick
trajectory, memory = plan(state, path, constraints, memory, config)
control, memory = track(state, trajectory, memory, config)
"""

from avstack.motion.controller import observe, track
from avstack.motion.path import Nudge, ReferencePath, reference_path
from avstack.motion.plan import Constraints, Leader, MotionMemory, Window, approach, centre_of_front, plan, start
from avstack.motion.vehicle import VehicleState

__all__ = [
    "Constraints", "Leader", "MotionMemory", "Nudge", "ReferencePath", "VehicleState", "Window", "approach", "centre_of_front",
    "observe", "plan", "reference_path", "start", "track",
]  # fmt: skip
