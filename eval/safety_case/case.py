"""The safety case of a driver: one argument over its decisions, its beliefs, learned and designed, its fallback, its comfort,
what all of that was tried on, and whether the evidence can be trusted. Limits are declared here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from eval.arguments import REPORTING_SEED
from eval.evaluate import driven_by
from eval.run import run_scenario
from eval.runs import Arm
from eval.safety_case import learned
from eval.safety_case.argument import Claim, Evidence, Status
from eval.safety_case.evidence import Dossier, Limit, against, why_stale
from eval.safety_case.goals import goal
from eval.suites import suite_of
from scenarios.catalogue import FAMILIES

LEAST_OF_FAMILY = 30
"""Episodes of a family or a suite from which it counts as tried."""
LEAST_TICKS = 10_000
"""Ticks on which a way out must have been looked for."""
LEAST_MISSING = 10
"""Ticks without a way out that the control must have, to tell."""
UNSAFE = "no_safety"
"""The driver without the envelope, for the control."""
_CATALOGUE = tuple(name for name in FAMILIES if name != "debris_held_out")
_TRIED = ("freezing", "copies", "late_car", "creep_person", "influence", "real_maps")
"""Suites of known failure modes and of real maps that a driver must have driven."""
_MODES = (
    ("freezing", "", Limit(what="deadlocks among one to seven attentive peers", column="deadlocks", most=0.01)),
    ("copies", "", Limit(what="livelocks among copies of itself from mirrored starts", column="livelocks", most=0.02)),
    ("late_car", "", Limit(what="at fault before a car that neither stops nor looks", column="at_fault", most=0.02)),
    ("creep_person", "", Limit(
        what="time inching forward within 3 m of somebody on foot", column="crept_at_person_s", most=0.0, share=False, unit="s",
    )),
    ("bullying", UNSAFE, Limit(
        what="boxes would have met had others not given in, without the envelope", column="bullied", most=0.005,
    )),
)  # fmt: skip


def safety_case(dossier: Dossier, verify: int = 0) -> Claim:
    """The whole argument. verify: so many episodes of the run are driven again."""
    parts = (_decisions(dossier), _beliefs(dossier), _fallback(dossier), _comfort(dossier), _coverage(dossier))
    return goal("G1", parts=(*parts, _trust(dossier, verify)))


def _eval(dossier: Dossier, suite: str, driver: str = "", sensing: str = "") -> str:
    level = sensing or dossier.main.run.sensing
    return f"avstack eval {suite} --driver {driver or dossier.main.driver} --sensing {level} --seeds commit:300"


def _of_run(dossier: Dossier, limits: Sequence[Limit]) -> tuple[Evidence, ...]:
    command = _eval(dossier, dossier.main.run.suite)
    return tuple(against(dossier.main, limit, command) for limit in limits)


def _decisions(dossier: Dossier) -> Claim:
    harm = _of_run(dossier, (
        Limit(what="collisions at fault by the rules of the road", column="at_fault", most=0.001),
        Limit(what="collisions that an attentive driver would have avoided (UN R157)", column="avoidable_collisions", most=0.001),
        Limit(what="collisions with whom it cut off", column="cut_off_collisions", most=0.001),
    ))  # fmt: skip
    works = _of_run(dossier, (
        Limit(what="off the road", column="offroad", most=0.001),
        Limit(what="crashes of the driver", column="crashed", most=0.001),
        Limit(what="goal reached", column="completed", most=0.99, least=True),
    ))  # fmt: skip
    modes = [against(dossier.arm(suite, driver), limit, _eval(dossier, suite, driver)) for suite, driver, limit in _MODES]
    return goal("G2", parts=(goal("G2.1", harm), goal("G2.2", works), goal("G2.3", modes)))


def _beliefs(dossier: Dossier) -> Claim:
    intentions = _of_run(dossier, (
        Limit(what="calibration error of who goes first, at every tick", column="belief_ece", most=0.05, share=False),
        Limit(what="the same as ego sets off", column="commitment_ece", most=0.10, share=False),
    ))  # fmt: skip
    by_points = dossier.arm(dossier.main.run.suite, sensing="lidar")
    limit = Limit(what="collisions at fault, driving from lidar points", column="at_fault", most=0.001)
    points = against(by_points, limit, _eval(dossier, dossier.main.run.suite, sensing="lidar"))
    parts = (
        goal("G3.1", intentions), goal("G3.2", learned.calibration()), goal("G3.3", learned.misses()), goal("G3.4", (points,)),
    )  # fmt: skip
    return goal("G3", parts=parts)


def _fallback(dossier: Dossier) -> Claim:
    given, control = _available(dossier.main), _available(dossier.arm(dossier.main.run.suite, UNSAFE))
    broken = Limit(what="assumptions that others broke, an episode", column="assumptions_broken", most=math.inf, share=False)
    parts = (
        goal("G4.1", (_always(dossier, dossier.main, given),)), goal("G4.2", (_control(dossier, given, control),)),
        goal("G4.3", _of_run(dossier, (broken,))),
    )  # fmt: skip
    return goal("G4", parts=parts)


def _available(arm: Arm | None) -> tuple[float, float] | None:
    """(ticks without a way out, ticks) of the episodes that arrived without a collision, while no assumption was broken."""
    rows = [] if arm is None else [row for row in arm.rows.values() if row.get("completed") and not row.get("collisions")]
    rows = [row for row in rows if row.get("fallback_ticks") is not None and row.get("fallback_available") is not None]
    if not rows:
        return None
    ticks = [float(row["fallback_ticks"] or 0.0) for row in rows]
    missing = [(1.0 - float(row["fallback_available"] or 0.0)) * count for row, count in zip(rows, ticks, strict=True)]
    return sum(missing), sum(ticks)


def _always(dossier: Dossier, arm: Arm, found: tuple[float, float] | None) -> Evidence:
    what, command = "ticks without a verified way out", _eval(dossier, arm.run.suite)
    source = f"{arm.label}, {len(arm.rows)} episodes of {arm.run.suite}"
    if found is None:
        return Evidence(what=what, found="nothing", status=Status.MISSING, source=source, fix=command)
    missing, ticks = round(found[0]), round(found[1])
    said, stale = f"{missing:,} of {ticks:,}", why_stale(arm)
    if stale:
        return Evidence(
            what=what, found=f"{said} ({stale})", status=Status.STALE, source=source, fix=f"{command} evaluates it anew"
        )
    status = Status.REFUTED if missing else Status.SUPPORTED if ticks >= LEAST_TICKS else Status.OPEN
    fix = f"At least {LEAST_TICKS:,} ticks" if status is Status.OPEN else ""
    return Evidence(what=what, found=said, status=status, source=source, fix=fix)


def _control(dossier: Dossier, given: tuple[float, float] | None, control: tuple[float, float] | None) -> Evidence:
    what, command = f"share of ticks with a way out, of {UNSAFE}", _eval(dossier, dossier.main.run.suite, UNSAFE)
    if control is None or given is None:
        return Evidence(what=what, found="nothing", status=Status.MISSING, fix=command)
    shares = [1.0 - missing / max(ticks, 1.0) for missing, ticks in (given, control)]
    said = f"{shares[1]:.4f}, with the envelope {shares[0]:.4f}"
    arm = dossier.arm(dossier.main.run.suite, UNSAFE)
    stale = "" if arm is None else why_stale(arm)
    source = "" if arm is None else arm.label
    if stale:
        return Evidence(what=what, found=f"{said} ({stale})", status=Status.STALE, source=source, fix=command)
    if shares[1] >= shares[0]:
        status = Status.REFUTED
    else:
        status = Status.SUPPORTED if control[0] >= LEAST_MISSING else Status.OPEN
    fix = "" if status is Status.SUPPORTED else "Harder episodes, or more"
    return Evidence(what=what, found=said, status=status, source=source, fix=fix)


def _comfort(dossier: Dossier) -> Claim:
    evidence = _of_run(dossier, (
        Limit(what="share of moving time above a jerk of 2.5 m/s³", column="jerk_violations", most=0.01, share=False),
        Limit(what="jerk of unforced stops, 95 % of |j|", column="stop_jerk_95", most=1.5, share=False, unit="m/s³"),
        Limit(what="braking of unforced stops, 95 %", column="stop_decel_95", most=2.0, share=False, unit="m/s²"),
    ))  # fmt: skip
    return goal("G5", evidence)


def _coverage(dossier: Dossier) -> Claim:
    families = [_tried_family(dossier, name) for name in _CATALOGUE]
    suites = [_tried_suite(dossier, name) for name in _TRIED]
    level = _tried_level(dossier, "lidar")
    return goal("G6", parts=(goal("G6.1", families), goal("G6.2", suites), goal("G6.3", (level,))))


def _tried_family(dossier: Dossier, family: str) -> Evidence:
    arms = [arm for arm in dossier.of_driver() if any(str(row.get("scenario")) == family for row in arm.rows.values())]
    return _tried(f"family {family}", arms, family, _eval(dossier, family))


def _tried_suite(dossier: Dossier, suite: str) -> Evidence:
    return _tried(f"suite {suite}", [arm for arm in dossier.of_driver() if arm.run.suite == suite], "", _eval(dossier, suite))


def _tried_level(dossier: Dossier, level: str) -> Evidence:
    arms = [arm for arm in dossier.of_driver() if arm.run.sensing == level]
    return _tried(f"sensing level {level}", arms, "", _eval(dossier, dossier.main.run.suite, sensing=level))


def _tried(what: str, arms: Sequence[Arm], family: str, command: str) -> Evidence:
    """How many episodes there are: of one family, or all; those of today first."""

    def count(some: Sequence[Arm]) -> int:
        return sum(1 for arm in some for row in arm.rows.values() if family in ("", str(row.get("scenario"))))

    fresh = [arm for arm in arms if not why_stale(arm)]
    source = ", ".join(arm.label for arm in (fresh or arms))
    now, ever = count(fresh), count(arms)
    if ever == 0:
        return Evidence(what=what, found="never driven", status=Status.MISSING, fix=command)
    if now == 0:
        return Evidence(what=what, found=f"{ever} episodes of earlier versions", status=Status.STALE, source=source, fix=command)
    enough = now >= LEAST_OF_FAMILY
    fix = "" if enough else f"At least {LEAST_OF_FAMILY} episodes: {command}"
    return Evidence(
        what=what, found=f"{now} episodes", status=Status.SUPPORTED if enough else Status.OPEN, source=source, fix=fix
    )  # fmt: skip


def _trust(dossier: Dossier, verify: int) -> Claim:
    main = dossier.main
    run, command = main.run, _eval(dossier, main.run.suite)
    stale, short = why_stale(main), len(run.seeds) - len(main.rows)
    tuned = sum(seed < REPORTING_SEED for seed in run.seeds)
    commit = str(run.provenance.get("commit") or "")
    pieces = (
        Evidence(
            what="the run is of the version at hand", found=stale or str(run.provenance.get("product")),
            status=Status.STALE if stale else Status.SUPPORTED, fix=command if stale else "",
        ),
        Evidence(
            what="the run is whole", found=f"{len(main.rows)} of {len(run.seeds)} episodes",
            status=Status.OPEN if short else Status.SUPPORTED, fix="Let it finish" if short else "",
        ),
        Evidence(
            what="its sources are those of a commit", found=commit or "none known",
            status=Status.MISSING if not commit else Status.OPEN if commit.endswith("+") else Status.SUPPORTED,
            fix="" if commit and not commit.endswith("+") else f"Commit what has changed, then {command}",
        ),
        Evidence(
            what="nobody can have tuned on its seeds", found=f"{tuned} of {len(run.seeds)} seeds are for tuning",
            status=Status.OPEN if tuned else Status.SUPPORTED, fix=command if tuned else "",
        ),
        _again(main, verify),
    )  # fmt: skip
    return goal("G7", pieces)


def _again(arm: Arm, count: int) -> Evidence:
    what = "episodes come out the same when they are driven again"
    rows = list(arm.rows.values())[:count]
    if not rows:
        return Evidence(what=what, found="not tried", status=Status.MISSING, fix=f"avstack safety-case {arm.label} --verify 3")
    suite = suite_of(arm.run.suite)
    same = 0
    for row in rows:
        scenario = replace(suite.scenario(int(str(row["seed"]))), sensing=arm.run.sensing)
        result = run_scenario(driven_by(scenario, arm.driver), to_the_end=suite.to_the_end)
        same += result.trace_hash == row.get("trace_hash")
    status = Status.SUPPORTED if same == len(rows) else Status.STALE if why_stale(arm) else Status.REFUTED
    return Evidence(what=what, found=f"{same} of {len(rows)}, by their trace hash", status=status, source=arm.label)
