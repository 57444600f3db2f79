"""The evidence's figures beside their targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from eval.tables import figure_cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line: what, in which part's result, under which keys. limit: at most, or with `least` at least; None: no target.

    bound: the key of a figure that is held against the limit; a figure that is a bare number is held against it itself.
    """

    what: str
    part: str
    keys: tuple[str, ...]
    limit: float | None = None
    least: bool = False
    bound: str = "value"

    def met(self, figure: object) -> bool | None:
        """Whether the figure is on the right side; None without a target or a figure."""
        found = figure.get(self.bound) if isinstance(figure, Mapping) else figure
        if self.limit is None or not isinstance(found, int | float):
            return None
        return found >= self.limit if self.least else found <= self.limit


def _of_driver(driver: str, part: str, what: str, name: str, limit: float | None = None, bound: str = "value") -> Target:
    return Target(what=f"{part}, {driver}: {what}", part=part, keys=("drivers", driver, name), limit=limit, bound=bound)


def _risk(part: str, what: str) -> tuple[Target, ...]:
    return (
        Target(what=f"delay saved at equal risk, {what}", part=part, keys=("saved",), limit=0.10, least=True),
        Target(what=f"- its lower bound, {what}", part=part, keys=("saved",), limit=0.0, least=True, bound="low"),
        Target(what=f"- of the least delays, {what}", part=part, keys=("saved_least",), limit=0.0, least=True, bound="low"),
        Target(what=f"- at P(min PET < 2 s), {what}", part=part, keys=("looser", "2", "saved")),
        Target(what=f"- delay at the same assertiveness [s], {what}", part=part, keys=("same_assertiveness", "delay_s")),
        Target(what=f"- risk at the same assertiveness, {what}", part=part, keys=("same_assertiveness", "risk")),
    )


_CHICKEN = tuple(
    target
    for driver in ("joint", "marginal")
    for target in (
        _of_driver(driver, "chicken", "at fault", "at_fault", 0.0, "rate"),
        _of_driver(driver, "chicken", "cut off", "cut_off_collisions", 0.0, "rate"),
        _of_driver(driver, "chicken", "collisions", "collisions"),
        _of_driver(driver, "chicken", "avoidable collisions", "avoidable_collisions"),
        _of_driver(driver, "chicken", "rescues per 1,000 others", "rescues_per_1000", 2.0),
        _of_driver(driver, "chicken", "deadlocks", "deadlocks", 0.0, "rate"),
        _of_driver(driver, "chicken", "livelocks", "livelocks"),
        _of_driver(driver, "chicken", "order violations", "order_violation_rate", 0.01, "rate"),
        _of_driver(driver, "chicken", "excess time", "excess_time", 0.20),
        _of_driver(driver, "chicken", "excess time, ego's own", "ego_excess_time"),
        _of_driver(driver, "chicken", "excess over the ordinary driver", "excess_over_ordinary"),
        _of_driver(driver, "regret", "regret [s]", "regret", 1.0),
        _of_driver(driver, "chicken", "price of anarchy", "price_of_anarchy"),
        _of_driver(driver, "chicken", "imposed delay [s]", "imposed_delay_s"),
        _of_driver(driver, "chicken", "imposed braking [m/s²]", "imposed_braking"),
        _of_driver(driver, "chicken", "comfort regret", "comfort_regret"),
        _of_driver(driver, "chicken", "belief ECE", "belief_ece"),
        _of_driver(driver, "chicken", "belief ECE at commitment", "commitment_ece"),
        _of_driver(driver, "chicken", "unforced stops, 95 % of |jerk| [m/s³]", "stop_jerk_95", 1.5),
        _of_driver(driver, "chicken", "unforced stops, deceleration [m/s²]", "stop_decel_95", 2.0),
    )
)
TARGETS: tuple[Target, ...] = (
    *(
        Target(what=f"decision with 12 agents, {name}", part="behaviours", keys=("12", name), limit=limit)
        for name, limit in (("median_ms", 6.0), ("p99_ms", 15.0), ("max_ms", 25.0))
    ),
    Target(what="real-time factor", part="behaviours", keys=("real_time_factor",), limit=10.0, least=True),
    *(
        Target(what=f"motion, {name.replace('_', ' ')}", part="motion", keys=(name,), limit=limit)
        for name, limit in (("jerk_ratio_clean", 1.03), ("jerk_ratio_noisy", 1.10), ("stop_error_m", 0.3))
    ),
    *_CHICKEN,
    Target(
        what="chicken, joint: fallback available", part="chicken", keys=("drivers", "joint", "fallback_available"), limit=1.0,
        least=True,
    ),
    _of_driver("no_safety", "ablations", "fallback available (control: lower)", "fallback_available"),
    _of_driver("no_safety", "ablations", "collisions (control: some)", "collisions"),
    *_risk("risk", "negotiator"),
    *_risk("risk_bare", "negotiator, no filter"),
    *_risk("risk_held_out", "held-out opponents"),
    *_risk("risk_held_out_bare", "held-out opponents, no filter"),
    *_risk("risk_sumo", "SUMO"),
    *_risk("risk_sumo_bare", "SUMO, no filter"),
    _of_driver("joint", "influence", "influence predicted", "influence_predicted"),
    _of_driver("joint", "influence", "influence observed", "influence_observed"),
    _of_driver("joint", "influence", "influence ECE", "influence_ece"),
    _of_driver("no_safety", "bullying", "would-be collisions", "bullied", 0.005, "rate"),
    _of_driver("joint", "copies", "livelocks", "livelocks", 0.0, "rate"),
    _of_driver("joint", "copies", "collisions", "collisions", 0.0, "rate"),
    _of_driver("joint", "late_car", "at fault", "at_fault", 0.0, "rate"),
    _of_driver("joint", "bluffers", "at fault", "at_fault", 0.0, "rate"),
    _of_driver("id_swaps", "id_swaps", "at fault", "at_fault", 0.0, "rate"),
    _of_driver("joint", "creep_person", "inching near people [s]", "crept_at_person_s", 0.0),
    *(
        _of_driver("joint", part, what, name)
        for part in (
            "catalogue", "catalogue_state", "catalogue_lidar", "debris", "debris_held_out", "real_maps", "real_maps_held_out"
        )
        for what, name in (
            ("completed", "completed"), ("collisions", "collisions"), ("at fault", "at_fault"), ("progress", "progress"),
        )
    ),
    Target(what="worst opponent", part="matrix", keys=("worst",)),
    *(
        _of_driver(driver, "policy", what, name)
        for driver in ("policy", "joint", "rules")
        for what, name in (("completed", "completed"), ("at fault", "at_fault"), ("delay [s]", "ego_delay_s"))
    ),
    *(
        _of_driver("joint", part, what, name)
        for part in ("chicken_state", "chicken_lidar")
        for what, name in (
            ("completed", "completed"), ("collisions", "collisions"), ("at fault", "at_fault"), ("delay [s]", "ego_delay_s")
        )
    ),
    Target(what="a frame from lidar [ms]", part="seeing", keys=("frame_ms",), limit=10.0),
    Target(what="real-time factor from lidar", part="seeing", keys=("real_time_factor",), limit=4.0, least=True),
    *(
        Target(
            what=f"layered less oracle, collisions, {condition}", part="layers", limit=0.02, bound="upper",
            keys=("conditions", condition, "less_oracle", "layered", "collisions"),
        )
        for condition in ("nominal", "fog", "ring loss", "held-out objects")
    ),
    *(
        Target(what=f"mean speed, {layer} [m/s]", part="layers", keys=("conditions", "nominal", "layers", layer, "mean_speed"))
        for layer in ("layered", "rich only", "coarse only", "oracle")
    ),
)  # fmt: skip


def look_up(results: Mapping[str, object], target: Target) -> object:
    """The figure of a target, None where it is not there."""
    found: object = results.get(target.part)
    for key in target.keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def evidence_table(results: Mapping[str, object], *, found_only: bool = False) -> Table:
    """Every figure with its interval, its target and whether that is met; - for what has not been run or cannot be told.

    found_only: leave these out.
    """
    table = Table(title="The whole evidence", title_justify="left")
    for name in ("figure", "found", "target", "met"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    for target in TARGETS:
        figure = look_up(results, target)
        if found_only and figure is None:
            continue
        met = target.met(figure)
        sign = "≥" if target.least else "≤"
        wanted = "" if target.limit is None else f"{sign} {target.limit:g}"
        shown = _worst(figure) if target.part == "matrix" and figure is not None else figure_cell(figure)
        table.add_row(escape(target.what), escape(shown), wanted, "" if met is None else "yes" if met else "NO")
    return table


def _worst(figure: object) -> str:
    pairs = figure.items() if isinstance(figure, Mapping) else ()
    return ", ".join(f"{driver}: {opponent}" for driver, opponent in pairs)
