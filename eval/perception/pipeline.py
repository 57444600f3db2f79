"""The stages from nothing to a judged model: data, train, calibrate, evaluate. Each goes on where it was interrupted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avstack.perception.bev import PAST
from avstack.perception.detect import (
    CALIBRATION_FILE,
    NETWORK_FILE,
    VERSION,
    Detector,
    WeightsError,
    read_network,
    uncalibrated,
)
from eval.outputs import check_folder, write_json
from eval.perception.samples import Sample, read_samples, sample_of, write_samples
from eval.perception.scenes import views_of
from eval.perception.splits import CONDITIONS, SPLITS, Condition, Split
from scenarios.errors import InputError

if TYPE_CHECKING:
    from eval.perception.assess import Judged

REPORT_FILE = "report.json"
LEFT_OUT = "around_without"
"""Where the calibration keeps the coarse thresholds chosen without one kind."""
TRAINED_ON = ("train", "crowded")
HISTORY_LOST = 0.15
"""Share of training samples without some or all of their history."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stage reads and writes: samples and training state in `folder`, models in `weights`; share of the scenes used."""

    folder: Path
    weights: Path
    share: float = 1.0

    def check(self) -> None:
        """Raise InputError where something could not be written, before anything runs."""
        if not 0.0 < self.share <= 1.0:
            raise InputError(f"the share of the scenes must be above 0 and at most 1, got {self.share!r}", fix="Use --share 0.1")
        check_folder(self.folder, "samples")
        check_folder(self.weights, "weights")

    def split(self, name: str) -> Split:
        """A split, or the share of it."""
        whole = SPLITS[name]
        return replace(whole, scenes=max(round(self.share * whole.scenes), 1))


def make_data(place: Place, names: Sequence[str], say: Say) -> None:
    """Samples of whole splits, a file a scene and condition; what is there is not made again."""
    jobs = [(*job, SPLITS[name].crowded) for name in names for job in _jobs(place, name)]
    begun, made = time.process_time(), 0
    for number, (path, seed, condition, crowded) in enumerate(jobs):
        if path.is_file():
            continue
        write_samples(path, list(_samples(seed, condition, crowded)))
        made += 1
        if made % 20 == 0 or number + 1 == len(jobs):
            say(f"data: {number + 1} of {len(jobs)} scenes, {time.process_time() - begun:.0f} s")


def _jobs(place: Place, name: str) -> Iterator[tuple[Path, int, Condition | None]]:
    """File, seed and condition of every scene of a split."""
    split = place.split(name)
    for seed in range(split.first, split.first + split.scenes):
        if not split.conditions:
            yield place.folder / name / f"{seed}.npz", seed, None
        for condition in split.conditions:
            yield place.folder / name / condition / f"{seed}.npz", seed, CONDITIONS[condition]


def _samples(seed: int, condition: Condition | None, crowded: bool) -> Iterator[Sample]:
    """Samples of one scene; a part of those without a condition lacks history."""
    random = np.random.default_rng(seed)
    for view in views_of(seed, condition, crowded=crowded):
        whole = condition is not None or random.random() < 1.0 - HISTORY_LOST
        yield sample_of(view, seed, history=PAST if whole else int(random.integers(PAST)))


def samples_of(place: Place, name: str, condition: str | None = None) -> Iterator[Sample]:
    """The samples of a split, or of one condition of it. Raises InputError where they have not been made, or are damaged."""
    wanted = CONDITIONS[condition] if condition is not None else None
    for path, _, found in _jobs(place, name):
        if found is not wanted:
            continue
        try:
            yield from read_samples(path)
        except FileNotFoundError:
            raise InputError(f"no samples in {str(path)!r}", fix="Run 'avstack perception data' first") from None
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"damaged samples: {error}", file=str(path), fix="Delete the file and make it again") from error


def train_network(place: Place, seed: int, passes: int | None, command: str, say: Say) -> None:
    """Train on the samples of `train`, and export the network."""
    import torch

    from eval.perception.second import train_second
    from eval.perception.train import Progress, TrainConfig, export, train

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    samples = [one for name in TRAINED_ON for one in samples_of(place, name)]
    config = TrainConfig(seed=seed) if passes is None else TrainConfig(seed=seed, passes=passes)
    begun = time.process_time()

    def report(progress: Progress) -> None:
        losses = " ".join(f"{name} {value:.3f}" for name, value in progress.losses.items())
        say(f"{progress.stage} stage: step {progress.done} of {progress.steps}, {time.process_time() - begun:.0f} s: {losses}")

    network = train(samples, config, place.folder, report, device)
    network = train_second(network, samples, config, place.folder, report)
    splits = [place.split(name) for name in TRAINED_ON]
    about = {
        "command": command, "config": asdict(config), "device": device, "samples": len(samples),
        "seeds": [[split.first, split.first + split.scenes - 1] for split in splits],
    }  # fmt: skip
    say(f"wrote {export(network, place.weights, about)}")


def calibrate(place: Place, say: Say) -> None:
    """Fit the calibrators of the weights on the samples of `calibration`."""
    from avstack.perception.network import fused_network, widths_of
    from eval.perception.calibrate import fit, thresholds_without
    from eval.perception.judged import run_network

    begun = time.process_time()
    arrays, meta = _network(place)
    network = fused_network(arrays, widths_of(meta["widths"]))  # type: ignore[arg-type]
    frames = run_network(network, samples_of(place, "calibration"))
    calibration = fit(frames)
    split = place.split("calibration")
    write_json(
        place.weights / CALIBRATION_FILE,
        {
            "version": VERSION, "network": meta["digest"], "seeds": [split.first, split.first + split.scenes - 1],
            "numbers": calibration.as_numbers(), LEFT_OUT: thresholds_without(frames),
        },
    )  # fmt: skip
    say(f"calibrated on {len(frames.scene)} samples, {time.process_time() - begun:.0f} s: {place.weights / CALIBRATION_FILE}")


def judge_conditions(
    place: Place, split: str, names: Sequence[str], say: Say, *, calibrated: bool = True, kept: tuple[Path, str] | None = None
) -> dict[str, Judged]:
    """What the models answer in each condition, held against the truth. Samples that are missing are made. kept: (store, name) of
    the run that this is to be in the store, a row a scene."""
    from eval.perception.assess import judge
    from eval.perception.gated import keep, open_run
    from eval.perception.judged import run_network
    from eval.store import Store

    there = SPLITS[split].conditions
    if strange := [name for name in names if name not in there]:
        raise InputError(f"split {split!r} has no condition {strange[0]!r}", fix=f"Use some of {', '.join(there)}")
    detector = load(place.weights) if calibrated else uncalibrated(load(place.weights))
    if kept is not None:
        digest, store = str(_network(place)[1]["digest"]), Store(kept[0])
        run = open_run(store, kept[1], place.split(split), names, digest, detector.calibration)
    make_data(place, [split], say)
    found: dict[str, Judged] = {}
    for name in names:
        found[name] = judge(
            run_network(detector.network, samples_of(place, split, name), detector.calibration), detector.calibration
        )
        say(f"evaluated {name}")
    if kept is not None:
        keep(store, run, found.values())
        say(f"run {run.name}")
    return found


def figures_of(place: Place, judged: Mapping[str, Judged], pictures: Path | None) -> dict[str, object]:
    """Figures by condition, and their diagrams."""
    from eval.perception.assess import assess

    left_out = json.loads((place.weights / CALIBRATION_FILE).read_text()).get(LEFT_OUT, {})
    if pictures is not None:
        from eval.perception.diagrams import draw_reliability

        for name, one in judged.items():
            draw_reliability(one, pictures / f"reliability_{name}.svg", name)
    return {name: assess(one, left_out) for name, one in judged.items()}


def load(weights: Path) -> Detector:
    """The detector of a folder; InputError instead of WeightsError."""
    try:
        return Detector.load(weights)
    except WeightsError as error:
        raise InputError(str(error)) from error


def _network(place: Place) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
    try:
        return read_network(place.weights / NETWORK_FILE)
    except WeightsError as error:
        raise InputError(str(error)) from error


def write_report(place: Place, figures: dict[str, object], command: str) -> None:
    """Put the evaluation beside the weights that it is of."""
    meta = read_network(place.weights / NETWORK_FILE)[1]
    write_json(
        place.weights / REPORT_FILE, {"command": command, "network": meta["digest"], "conditions": figures}
    )  # fmt: skip
