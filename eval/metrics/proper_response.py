"""Whether ego did what responsibility-sensitive safety asks of whoever has come too near.

Source: Shalev-Shwartz, Shammah, Shashua, On a formal model of safe and scalable self-driving cars (2017), definition 3: within
the response time no harder acceleration than assumed, then braking by at least the least braking until the gap is safe again or
the car stands. With the setting for dense town traffic.
"""

from __future__ import annotations

import numpy as np

from eval.metrics.headway import MOVES, dangerous
from eval.metrics.result import MetricResult, References
from sim.kinematics import RSS_DENSE
from sim.recording import Recording

TOLERANCE = 0.05
"""m/s²: what rounding and actuators may lack."""


def rss_improper_s(recording: Recording, references: References) -> MetricResult:
    """Time in danger for which ego did not respond as RSS asks: it sped up too hard at first, or braked too little later [s]."""
    header, ego = recording.header, recording.header.ego
    if ego is None:
        return MetricResult(value=0.0, unit="s", valid=False)
    track = recording.track(ego)
    danger = dangerous(recording, ego)
    began = np.maximum.accumulate(np.where(danger, 0, np.arange(1, len(track) + 1)))  # rows since which the gap is too short
    lasted = (np.arange(len(track)) - began + 1) * header.tick_s
    accel = track["accel"].astype(np.float64)
    late = lasted > RSS_DENSE.response_s + 1e-9
    proper = np.where(late, accel <= -RSS_DENSE.brake_min + TOLERANCE, accel <= RSS_DENSE.accel_max + TOLERANCE)
    stands = np.abs(track["speed"]) < MOVES
    return MetricResult(value=float(np.sum(danger & ~proper & ~stands)) * header.tick_s, unit="s")
