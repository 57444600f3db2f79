"""What perception is judged by scene by scene, so that the gate compares versions of the models in pairs.

Log-losses are proper scores (Gneiting, Raftery 2007, "Strictly proper scoring rules, prediction, and estimation"): what a model
says too boldly or too timidly costs, whether or not it finds more. A scene's value is the mean over its conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneMetric:
    """figure: of `assess`, taken over one scene; of: the figure that says how many it is over, "" for one that always is."""

    figure: str
    meaning: str
    unit: str
    of: str = ""


SCENE_METRICS: Mapping[str, SceneMetric] = {
    "detection_log_loss": SceneMetric(
        figure="nll_per_thing", of="things", unit="nats",
        meaning="Log-loss of the probabilities that detections are what they say, summed, for each thing that is there; what is"
        " not told counts as told with 2 %.",
    ),
    "detection_place_loss": SceneMetric(
        figure="place_nll", of="hits", unit="nats",
        meaning="Mean negative log-likelihood of true places, ahead and aside, under the stated variances.",
    ),
    "rich_miss": SceneMetric(
        figure="rich_miss", of="must_go_around", unit="share",
        meaning="Share of things to go around, within 40 m, that the rich model does not tell.",
    ),
    "coarse_miss": SceneMetric(
        figure="coarse_miss", of="must_go_around", unit="share",
        meaning="Share of things to go around, within 40 m, that the coarse model does not tell.",
    ),
    "told_miss": SceneMetric(
        figure="told_miss", of="must_go_around", unit="share",
        meaning="Share of things to go around, within 40 m, on which one sweep tells nothing that the stack would go around.",
    ),
    "coarse_false_alarms": SceneMetric(
        figure="false_alarms", unit="share", meaning="Share of free cells, within 40 m, that the coarse model takes for blocked."
    ),
    "confident_wrong": SceneMetric(
        figure="confident_wrong_after", of="unfamiliar", unit="share",
        meaning="Share of things of kinds the rich model does not know that pass, with trust, for what they are not.",
    ),
}  # fmt: skip
"""What a row holds; less is better in all of them."""
