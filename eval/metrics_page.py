"""`docs/metrics.md`, written from what each metric, its file, its unit and its direction say of themselves."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping

import numpy as np

from eval.gate import PRIMARY
from eval.metrics.registry import METRICS
from eval.metrics.result import Better, Metric, MetricResult, References
from sim.recording import RECORDED_EVENT_DTYPE, TICK_DTYPE, Ending, Footer, Header, Recording
from sim.roads.outline import MapOutline

_HEAD = """# Metrics

Written by `avstack metrics > docs/metrics.md` from what the metrics say of themselves. Each is a function of a recording and what
it is held against (`eval/metrics/result.py`), in the file named; what reports make of them is in [evaluation](evaluation.md), the
rules behind faults and stops in [conventions](conventions.md). *Gate*: the worsening that `avstack gate` puts up with.
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
    return "\n".join([_HEAD, *(_section(module, found) for module, found in files.items())])


def _section(module: str, found: Mapping[str, Metric]) -> str:
    lines = [f"## {module.rpartition('.')[2].replace('_', ' ')}", "", inspect.getdoc(sys.modules[module]) or "", ""]
    lines += ["| metric | meaning | unit | better | gate |", "|---|---|---|---|---|"]
    margins = {metric.column: metric.margin for metric in PRIMARY}
    for name, metric in found.items():
        said, result = " ".join((inspect.getdoc(metric) or "").split()).replace("|", "\\|"), declared(metric)
        better = "" if result.better is Better.NEITHER else str(result.better)
        lines.append(f"| `{name}` | {said} | {result.unit} | {better} | {margins.get(name, '')} |")
    return "\n".join([*lines, "", f"`{module.replace('.', '/')}.py`", ""])
