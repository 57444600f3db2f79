"""All metrics by name. A new one is a function in a file of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from eval.metrics.assurance import (
    assumptions_broken,
    fallback_available,
    fallback_lost,
    fallback_missing_s,
    fallback_ticks,
    intervention_s,
    interventions,
)
from eval.metrics.avoidable import avoidable_collisions
from eval.metrics.comfort import jerk_95, jerk_squared, jerk_violations, max_decel
from eval.metrics.cut_off import cut_off_collisions
from eval.metrics.delay import (
    delay,
    ego_delay,
    ego_turn_delay,
    first_come_delay,
    optimal_time,
    ordinary_delay,
    time_used,
)
from eval.metrics.encounters import encounters
from eval.metrics.encroachment import min_pet
from eval.metrics.foresight import belief_log_loss, commitment_log_loss, time_to_sure
from eval.metrics.headway import rss_violation_s
from eval.metrics.hindsight import comfort_regret, jerk_of_crossing
from eval.metrics.honesty import (
    existence_log_loss,
    position_coverage,
    position_miscoverage,
    position_nees,
    velocity_coverage,
)
from eval.metrics.imposed import imposed_braking, imposed_delay
from eval.metrics.livelock import creep_cycles
from eval.metrics.nuplan import nuplan_score
from eval.metrics.order import order_violations, order_violations_suffered
from eval.metrics.perceived import (
    doubt_share,
    fault_noticed,
    hard_brakes,
    phantom_stops,
    struck_things,
    time_to_notice,
)
from eval.metrics.probing import crept_m, learned_nats
from eval.metrics.progress import progress
from eval.metrics.proper_response import rss_improper_s
from eval.metrics.result import Metric, MetricResult, References
from eval.metrics.standoff import deadlocks, deadlocks_of_others
from eval.metrics.stops import stop_decel, stop_jerk_95, stop_jerk_over, stop_ticks
from eval.metrics.threat import crept_at_person_s
from sim.recording import Recording

METRICS: Mapping[str, Metric] = {
    "delay": delay,
    "ego_delay": ego_delay,
    "ego_turn_delay": ego_turn_delay,
    "first_come_delay": first_come_delay,
    "ordinary_delay": ordinary_delay,
    "time_used": time_used,
    "optimal_time": optimal_time,
    "deadlocks": deadlocks,
    "deadlocks_of_others": deadlocks_of_others,
    "order_violations": order_violations,
    "order_violations_suffered": order_violations_suffered,
    "creep_cycles": creep_cycles,
    "imposed_delay": imposed_delay,
    "imposed_braking": imposed_braking,
    "encounters": encounters,
    "min_pet": min_pet,
    "rss_violation_s": rss_violation_s,
    "rss_improper_s": rss_improper_s,
    "avoidable_collisions": avoidable_collisions,
    "cut_off_collisions": cut_off_collisions,
    "progress": progress,
    "nuplan_score": nuplan_score,
    "jerk_95": jerk_95,
    "jerk_squared": jerk_squared,
    "jerk_violations": jerk_violations,
    "max_decel": max_decel,
    "stop_jerk_95": stop_jerk_95,
    "stop_jerk_over": stop_jerk_over,
    "stop_ticks": stop_ticks,
    "stop_decel": stop_decel,
    "comfort_regret": comfort_regret,
    "jerk_of_crossing": jerk_of_crossing,
    "fallback_available": fallback_available,
    "fallback_lost": fallback_lost,
    "fallback_ticks": fallback_ticks,
    "fallback_missing_s": fallback_missing_s,
    "interventions": interventions,
    "intervention_s": intervention_s,
    "assumptions_broken": assumptions_broken,
    "belief_log_loss": belief_log_loss,
    "commitment_log_loss": commitment_log_loss,
    "time_to_sure": time_to_sure,
    "crept_m": crept_m,
    "learned_nats": learned_nats,
    "crept_at_person_s": crept_at_person_s,
    "struck_things": struck_things,
    "hard_brakes": hard_brakes,
    "phantom_stops": phantom_stops,
    "doubt_share": doubt_share,
    "fault_noticed": fault_noticed,
    "time_to_notice": time_to_notice,
    "existence_log_loss": existence_log_loss,
    "position_miscoverage": position_miscoverage,
    "position_coverage": position_coverage,
    "position_nees": position_nees,
    "velocity_coverage": velocity_coverage,
}


def measure(recording: Recording, references: References) -> dict[str, MetricResult]:
    """Every metric of one episode."""
    return {name: metric(recording, references) for name, metric in METRICS.items()}
