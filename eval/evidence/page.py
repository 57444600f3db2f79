"""The evidence as a page in Markdown: targets first, then what each finished part found, with the command that repeats it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eval.bench import behaviours, motion, perception, throughput
from eval.evidence.plan import Part, parts_of
from eval.evidence.table import evidence_table
from eval.layers import fault_tables, layer_tables
from eval.matched_risk import sweep_lines, sweep_table
from eval.matrix import matrix_tables, worst_line
from eval.tables import evaluation_tables, markdown

SHOWN = frozenset({
    "episodes", "pairs", "completed", "at_fault", "collisions", "avoidable_collisions", "cut_off_collisions", "offroad",
    "deadlocks", "livelocks", "order_violation_rate", "close_call", "bullied", "rescues_per_1000", "progress", "ego_delay_s",
    "excess_time", "ordinary_excess_time", "excess_over_ordinary", "ego_excess_time", "regret", "price_of_anarchy",
    "imposed_delay_s", "imposed_braking", "courtesy", "jerk_violations", "max_decel", "stop_jerk_95", "stop_decel_95",
    "comfort_regret", "jerk_over_least", "belief_log_loss", "belief_ece", "commitment_log_loss", "commitment_ece",
    "influence_predicted", "influence_observed", "influence_ece", "nats_per_metre", "crept_at_person_s", "struck_things",
    "hard_brakes", "phantom_stops", "doubt_share", "fallback_available", "fallback_missing_s", "assumptions_broken",
    "interventions", "intervention_s", "decision_ms_p99",
})  # fmt: skip
"""Figures of an evaluation that the page shows; its JSON has all."""


def evidence_page(held: Mapping[str, Any], results: Mapping[str, object], missing: list[str]) -> str:
    """The page. held: what the folder says of itself; results: name of a part -> its JSON; missing: parts without any."""
    commit = held.get("commit")
    lines = [
        "# Results",
        "",
        "Written by `avstack evidence --out FOLDER --page docs/results.md` from what `avstack evidence --out FOLDER` found"
        + (f" at commit `{commit}`" if commit else "")
        + f", with seeds from {held['first_seed']} on. What the figures mean is in [evaluation](evaluation.md).",
        "",
    ]
    if held.get("tuning") or held.get("share", 1.0) != 1.0:
        lines += ["**A rehearsal:** not all episodes, or seeds that anybody may have tuned on.", ""]
    if missing:
        lines += [f"Not run: {', '.join(f'`{name}`' for name in missing)}.", ""]
    lines += ["## Targets", "", markdown(evidence_table(results, found_only=True))]
    for part in parts_of((), tuning=False):
        if part.name in results:
            lines += _section(part, held, results[part.name])
    return "\n".join(lines)


def read_results(folder: Path) -> tuple[dict[str, object], list[str]]:
    """(name of a part -> its JSON, names of the parts without any), in the order of the plan."""
    places = {part.name: folder / f"{part.name}.json" for part in parts_of((), tuning=False)}
    found = {name: json.loads(place.read_text(encoding="utf-8")) for name, place in places.items() if place.is_file()}
    return found, [name for name in places if name not in found]


def _section(part: Part, held: Mapping[str, Any], result: Any) -> list[str]:
    """Heading, command and tables of a part."""
    words = part.arguments(int(held["first_seed"]), float(held.get("share", 1.0)), tuning=bool(held.get("tuning")))
    lines = [f"## {part.name.replace('_', ' ')}", "", "```text", f"avstack {' '.join(words)}", "```", ""]
    return lines + _TELLERS[words[1] if words[0] == "bench" else words[0]](result)


def _evaluation(result: Mapping[str, object]) -> list[str]:
    return [markdown(table) for table in evaluation_tables(result, SHOWN) if table.row_count]


def _matched_risk(result: Mapping[str, object]) -> list[str]:
    return [markdown(sweep_table(result)), *(f"- {line}" for line in sweep_lines(result)), ""]


def _matrix(result: Mapping[str, object]) -> list[str]:
    return [*map(markdown, matrix_tables(result)), worst_line(result), ""]


def _printed(text: str) -> list[str]:
    return ["```text", text.rstrip("\n"), "```", ""]


_TELLERS: Mapping[str, Callable[[Any], list[str]]] = {
    "eval": _evaluation,
    "matched-risk": _matched_risk,
    "matrix": _matrix,
    "layers": lambda result: list(map(markdown, layer_tables(result))),
    "faults": lambda result: list(map(markdown, fault_tables(result))),
    "behaviours": lambda result: _printed(behaviours.format_bench(result)),
    "motion": lambda result: _printed(motion.format_bench(result)),
    "perception": lambda result: _printed(perception.format_bench(result)),
    "throughput": lambda result: _printed(throughput.format_bench(result)),
}
"""A part's command, or bench -> lines of the page from its result."""
