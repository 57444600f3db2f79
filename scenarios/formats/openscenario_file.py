"""OpenSCENARIO XML 1.0 to 1.3 files: header, parameters, catalogues, entities; and files that only vary another one's parameters.

`read_document` reads a file and what it refers to; `Document.instance` is the scenario for one set of parameter values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.openscenario_values import Parameter, declared, settled, substituted, violated
from scenarios.formats.xml import Element, read_xml
from scenarios.nearest import nearest

VERSIONS = range(4)  # revMinor of 1.x
CATALOGUES = {
    "VehicleCatalog": "Vehicle", "PedestrianCatalog": "Pedestrian", "MiscObjectCatalog": "MiscObject",
    "ControllerCatalog": "Controller", "EnvironmentCatalog": "Environment", "ManeuverCatalog": "Maneuver",
    "TrajectoryCatalog": "Trajectory", "RouteCatalog": "Route",
}  # fmt: skip
VEHICLES = {
    "car": "car", "van": "van", "truck": "truck", "semitrailer": "truck", "trailer": "truck", "bus": "bus",
    "motorbike": "motorcycle", "bicycle": "bicycle", "tram": "bus", "train": "bus", "standUpScooter": "bicycle",
}  # fmt: skip
SIZE_MAX = 60.0  # m
VARIATIONS_MOST = 10_000  # values of one distribution
TRIES = 1000  # draws until the parameters' constraints hold
FILES_KEPT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Somebody or something. kind: as in scenarios; forward: from its reference point to the centre of its box [m]; driven: it
    has a controller of its own. wheelbase: None for who has no axles."""

    name: str
    kind: str
    thing: str
    length: float
    width: float
    height: float
    forward: float
    wheelbase: float | None
    driven: bool
    element: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How some parameters vary together: sets of values, each drawn evenly, or by weight; or a continuous draw of one."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...] = ()
    weights: tuple[float, ...] = ()
    kind: str = ""
    numbers: tuple[float, ...] = ()

    def draw(self, random: np.random.Generator) -> dict[str, str]:
        """One set of values."""
        if self.values:
            weights = np.asarray(self.weights or [1.0] * len(self.values))
            pick = int(random.choice(len(self.values), p=weights / weights.sum()))
            return dict(zip(self.names, self.values[pick], strict=True))
        low, high, a, b = self.numbers
        for _ in range(TRIES):
            value = {
                "uniform": lambda: random.uniform(low, high), "normal": lambda: random.normal(a, math.sqrt(b)),
                "lognormal": lambda: random.lognormal(a, math.sqrt(b)), "poisson": lambda: float(random.poisson(a)),
            }[self.kind]()  # fmt: skip
            if low <= value <= high:
                break
        return {self.names[0]: repr(float(np.clip(value, low, high)))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A scenario with all parameters put in. catalogues: entries by catalogue and name, still with their own parameters."""

    values: Mapping[str, str]
    root: Element
    catalogues: Mapping[str, Mapping[str, Element]]
    folder: Path

    @property
    def map_file(self) -> Path:
        """The road network. InputError where none is named or it is not there."""
        network = self.root.need("RoadNetwork")
        logic = network.child("LogicFile")
        if logic is None or not logic.text("filepath"):
            raise network.error("names no <LogicFile>", "Scenarios here need a road network (.xodr).")
        path = self.folder / logic.text("filepath").replace("\\", "/")
        if not _there(path):
            raise logic.error(f"road network {logic.text('filepath')!r} does not exist", f"It was looked for at {path}.")
        return path

    def entities(self) -> tuple[Entity, ...]:
        """Everybody, in the file's order."""
        block = self.root.need("Entities")
        for child in block.children:
            if child.tag not in ("ScenarioObject", "EntitySelection"):
                raise unsupported(child)
        found = tuple(self._entity(element) for element in block.all("ScenarioObject"))
        names = [entity.name for entity in found]
        for entity in found:
            if names.count(entity.name) > 1:
                raise entity.element.error(f"two entities are called {entity.name!r}", "Rename one.")
        return found

    def looked_up(self, element: Element) -> Element:
        """What an element holds, or the catalogue entry that it refers to, with its parameters put in."""
        reference = element if element.tag == "CatalogReference" else element.child("CatalogReference")
        if reference is None:
            return element
        catalogue, entry = reference.text("catalogName"), reference.text("entryName")
        if catalogue not in self.catalogues:
            raise reference.error(
                f"catalogue {catalogue!r} is in none of the catalogue locations{nearest(catalogue, self.catalogues)}",
                "Correct catalogName or <CatalogLocations>.",
            )
        found = self.catalogues[catalogue].get(entry)
        if found is None:
            raise reference.error(
                f"catalogue {catalogue!r} has no entry {entry!r}{nearest(entry, self.catalogues[catalogue])}",
                "Correct entryName.",
            )
        assigned = reference.child("ParameterAssignments")
        given = {
            one.text("parameterRef").lstrip("$"): one.text("value")
            for one in (assigned.all("ParameterAssignment") if assigned is not None else ())
        }
        parameters = declared(found)
        for name in given:
            if name not in parameters:
                raise reference.error(f"entry {entry!r} has no parameter {name!r}{nearest(name, parameters)}", "Leave it out.")
        return substituted(found, {**self.values, **settled(parameters, given)})

    def _entity(self, element: Element) -> Entity:
        body = next((child for child in element.children if child.tag in ("Vehicle", "Pedestrian", "MiscObject")), None)
        if body is None:
            reference = element.child("CatalogReference")
            if reference is None:
                raise element.error("is neither vehicle, pedestrian nor object", "Describe it, or refer to a catalogue.")
            body = self.looked_up(reference)
        match body.tag:
            case "Vehicle":
                category = body.choice("vehicleCategory", tuple(VEHICLES))
                kind, thing = VEHICLES[category], ""
            case "Pedestrian":
                kind, thing = "pedestrian", ""
            case "MiscObject":
                kind, thing = "object", "barrier" if body.text("miscObjectCategory", "") == "barrier" else "unknown"
            case _:
                raise body.error("is neither vehicle, pedestrian nor object", "Refer to another entry.")
        box = body.need("BoundingBox")
        size = box.need("Dimensions")
        length, width, height = (size.number(side, minimum=0.01) for side in ("length", "width", "height"))
        if max(length, width, height) > SIZE_MAX:
            raise size.error(f"{length:g} m x {width:g} m x {height:g} m is not believable", f"At most {SIZE_MAX:g} m.")
        axles = body.child("Axles")
        wheelbase = None if axles is None or axles.child("FrontAxle") is None else axles.need("FrontAxle").number("positionX")
        return Entity(
            name=element.text("name"), kind=kind, thing=thing, length=length, width=width, height=height,
            forward=box.need("Center").number("x"), wheelbase=wheelbase, driven=element.child("ObjectController") is not None,
            element=element,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file before its parameters are chosen."""

    path: Path
    root: Element
    parameters: Mapping[str, Parameter]
    distributions: tuple[Distribution, ...] = field(default=())

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path.stem

    def instance(
        self, given: Mapping[str, str], random: np.random.Generator | None = None, sound: Callable[[Instance], str] = lambda _: ""
    ) -> Instance:
        """The scenario for these values; the rest is drawn from the distributions, or as declared without `random`.

        InputError for unknown parameters, and where the constraints do not hold or `sound` says what is wrong: drawn values are
        drawn again until all is well.
        """
        for name in given:
            if name not in self.parameters:
                raise InputError(
                    f"there is no parameter {name!r}{nearest(name, self.parameters)}", file=str(self.path), fix="Leave it out."
                )
        fault = ""
        for _ in range(TRIES if self.distributions and random is not None else 1):
            drawn = dict(given)
            if random is not None:
                for distribution in self.distributions:
                    drawn = {**distribution.draw(random), **drawn}
            values = settled(self.parameters, drawn)
            fault = violated(self.parameters, values)
            if fault:
                continue
            root = substituted(self.root, values)
            found = Instance(values=values, root=root, catalogues=_catalogues(root), folder=Path(self.root.file).parent)
            fault = sound(found)
            if not fault:
                return found
        raise InputError(fault, file=self.root.file, fix="Choose other values.")


def _there(path: Path, *, folder: bool = False) -> bool:
    """Whether a file or folder exists; names that no system takes do not."""
    try:
        return path.is_dir() if folder else path.is_file()
    except (OSError, ValueError):
        return False


def unsupported(element: Element) -> InputError:
    """The refusal to run a scenario otherwise than it is written."""
    return element.error("is not supported here, and without it the scenario would be another one", "Leave it out.")


def read_document(path: Path) -> Document:
    """The file at `path`; one that varies another's parameters brings that one along. InputError with the place of faults."""
    root = _versioned(path)
    variation = root.child("ParameterValueDistribution")
    if variation is None:
        return Document(path=path, root=root, parameters=declared(root))
    scenario = variation.need("ScenarioFile")
    target = path.parent / scenario.text("filepath").replace("\\", "/")
    if not _there(target):
        raise scenario.error(f"scenario {scenario.text('filepath')!r} does not exist", f"It was looked for at {target}.")
    varied = _versioned(target)
    if varied.child("ParameterValueDistribution") is not None:
        raise scenario.error("names a file that only varies parameters itself", "Name the scenario.")
    parameters = declared(varied)
    return Document(path=path, root=varied, parameters=parameters, distributions=_distributions(variation, parameters))


@lru_cache(maxsize=FILES_KEPT)
def read_once(path: Path, changed: int) -> Document:
    """As `read_document`, kept for the process while the file's time of change is the same."""
    del changed
    return read_document(path)


def _versioned(path: Path) -> Element:
    root = read_xml(path, root="OpenSCENARIO")
    header = root.need("FileHeader")
    major, minor = header.integer("revMajor"), header.integer("revMinor")
    if major != 1 or minor not in VERSIONS:
        raise header.error(f"version {major}.{minor} is not known", "Convert the file to OpenSCENARIO XML 1.0 to 1.3.")
    return root


def _catalogues(root: Element) -> dict[str, dict[str, Element]]:
    """Entries by catalogue and name of all catalogue files in the folders that the file names."""
    found: dict[str, dict[str, Element]] = {}
    locations = root.child("CatalogLocations")
    for location in locations.children if locations is not None else ():
        wanted = CATALOGUES.get(location.tag)
        if wanted is None:
            raise unsupported(location)
        directory = location.need("Directory")
        folder = Path(root.file).parent / directory.text("path").replace("\\", "/")
        if not _there(folder, folder=True):
            raise directory.error(
                f"catalogue folder {directory.text('path')!r} does not exist", f"It was looked for at {folder}."
            )
        for file in sorted(folder.glob("*.xosc")):
            catalogue = _versioned(file).child("Catalog")
            if catalogue is not None:
                entries = {entry.text("name"): entry for entry in catalogue.children}
                found.setdefault(catalogue.text("name"), {}).update(entries)
    return found


def _distributions(variation: Element, parameters: Mapping[str, Parameter]) -> tuple[Distribution, ...]:
    found = []
    for group in variation.children:
        match group.tag:
            case "ScenarioFile":
                continue
            case "Deterministic":
                found += [_deterministic(one) for one in group.children]
            case "Stochastic":
                found += [_stochastic(one) for one in group.all("StochasticDistribution")]
            case _:
                raise unsupported(group)
    for distribution in found:
        for name in distribution.names:
            if name not in parameters:
                raise variation.error(f"varies {name!r}, which is no parameter{nearest(name, parameters)}", "Correct the name.")
    return tuple(found)


def _deterministic(element: Element) -> Distribution:
    """Sets of values; what is said to be run one after the other is drawn from evenly."""
    if element.tag == "DeterministicMultiParameterDistribution":
        sets = [
            {one.text("parameterRef"): one.text("value") for one in group.all("ParameterAssignment")}
            for group in element.need("ValueSetDistribution").all("ParameterValueSet")
        ]
        if not sets or any(one.keys() != sets[0].keys() for one in sets):
            raise element.error("its sets do not assign the same parameters", "Assign all of them in each set.")
        names = tuple(sets[0])
        return Distribution(names=names, values=tuple(tuple(one[name] for name in names) for one in sets))
    if element.tag != "DeterministicSingleParameterDistribution":
        raise unsupported(element)
    names = (element.text("parameterName"),)
    listed, ranged = element.child("DistributionSet"), element.child("DistributionRange")
    if listed is not None:
        values = tuple((one.text("value"),) for one in listed.all("Element"))
    elif ranged is not None:
        step, limits = ranged.number("stepWidth", minimum=1e-9), ranged.need("Range")
        low, high = limits.number("lowerLimit"), limits.number("upperLimit")
        count = int(math.floor((high - low) / step + 1e-9)) + 1
        if not 1 <= count <= VARIATIONS_MOST:
            raise ranged.error(f"gives {count} values", f"It must give from 1 to {VARIATIONS_MOST}.")
        values = tuple((repr(round(low + k * step, 9)),) for k in range(count))
    else:
        raise unsupported(element.children[0] if element.children else element)
    if not values:
        raise element.error("has no values", "List at least one.")
    return Distribution(names=names, values=values)


def _stochastic(element: Element) -> Distribution:
    names = (element.text("parameterName"),)
    kind = next(iter(element.children), None)
    if kind is None:
        raise element.error("names no distribution", "Add one.")
    limits = kind.child("Range")
    low = limits.number("lowerLimit") if limits is not None else -math.inf
    high = limits.number("upperLimit") if limits is not None else math.inf
    match kind.tag:
        case "ProbabilityDistributionSet":
            parts = kind.all("Element")
            weights = tuple(one.number("weight", minimum=0.0) for one in parts)
            if sum(weights) <= 0.0:
                raise kind.error("its weights add up to nothing", "Give one above 0.")
            return Distribution(names=names, values=tuple((one.text("value"),) for one in parts), weights=weights)
        case "UniformDistribution" if limits is not None:
            return Distribution(names=names, kind="uniform", numbers=(low, high, 0.0, 0.0))
        case "NormalDistribution":
            numbers = (low, high, kind.number("expectedValue"), kind.number("variance", minimum=0.0))
            return Distribution(names=names, kind="normal", numbers=numbers)
        case "LogNormalDistribution":
            numbers = (low, high, kind.number("expectedValue"), kind.number("variance", minimum=0.0))
            return Distribution(names=names, kind="lognormal", numbers=numbers)
        case "PoissonDistribution":
            return Distribution(names=names, kind="poisson", numbers=(low, high, kind.number("expectedValue", minimum=0.0), 0.0))
    raise unsupported(kind)
