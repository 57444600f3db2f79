"""All metrics by name. A new one is a function in a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from eval.metrics.comfort import jerk_95, jerk_squared, jerk_violations, max_decel
from eval.metrics.delay import delay, ego_delay, first_come_delay, optimal_time, time_used
from eval.metrics.encroachment import min_pet
from eval.metrics.imposed import imposed_braking, imposed_delay
from eval.metrics.livelock import creep_cycles
from eval.metrics.order import order_violations, order_violations_suffered
from eval.metrics.result import Metric, MetricResult, References
from sim.recording import Recording

METRICS: Mapping[str, Metric] = {
    "delay": delay,
    "ego_delay": ego_delay,
    "first_come_delay": first_come_delay,
    "time_used": time_used,
    "optimal_time": optimal_time,
    "order_violations": order_violations,
    "order_violations_suffered": order_violations_suffered,
    "creep_cycles": creep_cycles,
    "imposed_delay": imposed_delay,
    "imposed_braking": imposed_braking,
    "min_pet": min_pet,
    "jerk_95": jerk_95,
    "jerk_squared": jerk_squared,
    "jerk_violations": jerk_violations,
    "max_decel": max_decel,
}


def measure(recording: Recording, references: References) -> dict[str, MetricResult]:
    """Every metric of one episode."""
    return {name: metric(recording, references) for name, metric in METRICS.items()}
