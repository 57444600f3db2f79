"""`docs/metrics.md`, written from what each metric, its file, its unit and its direction say of themselves."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

import numpy as np

from eval.gate import PRIMARY
from eval.metrics.registry import METRICS
from eval.metrics.result import Better, Metric, MetricResult, References
from eval.perception import scene_metrics
from eval.perception.scene_metrics import SCENE_METRICS
from sim.recording import RECORDED_EVENT_DTYPE, TICK_DTYPE, Ending, Footer, Header, Recording
from sim.roads.outline import MapOutline

_HEAD = """# Metrics

Written by `avstack metrics > docs/metrics.md` from what the metrics say of themselves. Each is a function of a recording and what
it is held against (`eval/metrics/result.py`), in the file named; those at the end are of what the models answer to samples. What
reports make of them is in [evaluation](evaluation.md), the rules behind faults and stops in [conventions](conventions.md).
*Gate*: the worsening that `avstack gate` puts up with.
"""


def declared(metric: Metric) -> MetricResult:
    """Unit and direction of a metric: what it returns for an episode in which nobody was there."""
    nowhere = MapOutline(name="", left_hand_traffic=False, lanes=(), crosswalks=(), edges=(), scenery=(), signals=())
    header = Header(scenario="", seed=0, duration_s=0.0, ego=None, actors=(), event_names=(), reason_names=())
    rows, events = np.zeros(0, TICK_DTYPE), np.zeros(0, RECORDED_EVENT_DTYPE)
    nothing = Recording(header=header, road_map=nowhere, rows=rows, events=events, traces={}, footer=Footer(ending=Ending.PASSED))
    return metric(nothing, References())


def metrics_page() -> str:
    """The page, as Markdown: a section for each file, a line for each metric."""
    files: dict[str, dict[str, Metric]] = {}
    for name, metric in METRICS.items():
        files.setdefault(metric.__module__, {})[name] = metric
    sections = [_section(module, [_line(name, metric) for name, metric in found.items()]) for module, found in files.items()]
    scenes = [(name, metric.meaning, metric.unit, Better.LOWER) for name, metric in SCENE_METRICS.items()]
    return "\n".join([_HEAD, *sections, _section(scene_metrics.__name__, scenes)])


def _line(name: str, metric: Metric) -> tuple[str, str, str, Better]:
    """(name, meaning, unit, direction) of a metric."""
    result = declared(metric)
    return name, " ".join((inspect.getdoc(metric) or "").split()), result.unit, result.better


def _section(module: str, found: Sequence[tuple[str, str, str, Better]]) -> str:
    lines = [f"## {module.rpartition('.')[2].replace('_', ' ')}", "", inspect.getdoc(sys.modules[module]) or "", ""]
    lines += ["| metric | meaning | unit | better | gate |", "|---|---|---|---|---|"]
    margins = {metric.column: metric.margin for metric in PRIMARY}
    for name, meaning, unit, better in found:
        direction, said = "" if better is Better.NEITHER else str(better), meaning.replace("|", "\\|")
        lines.append(f"| `{name}` | {said} | {unit} | {direction} | {margins.get(name, '')} |")
    return "\n".join([*lines, "", f"`{module.replace('.', '/')}.py`", ""])
