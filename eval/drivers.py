"""Which driver a name means: one of ours, `package.module:Class`, `file.py:Class`, or a policy's weights, `policy:FILE.npz`."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType
from typing import cast

from eval.settings import configured
from scenarios.errors import InputError
from sim.interface import Driver
from sim.scenario import Scenario
from sim.world import World

DRIVERS: dict[str, str] = {
    "rules": "eval.tracked:TrackedRulesDriver",
    "joint": "avstack.stack:Joint",
    "contingency": "avstack.stack:Contingency",
    "single": "avstack.stack:Single",
    "marginal": "avstack.stack:Marginal",
    "cv": "avstack.stack:ConstantVelocity",
    "idm": "avstack.stack:Idm",
    "prior_only": "joint[behaviours.learn=false]",
    "no_creep": "joint[behaviours.creep=false]",
    "no_breaker": "joint[behaviours.breaker=false]",
    "no_safety": "joint[safety=false]",
    "marginal_no_safety": "marginal[safety=false]",
    "response_lower": "joint[behaviours.response_scale=0.7]",
    "response_higher": "joint[behaviours.response_scale=1.3]",
    "policy": "eval.policy.driver:Policy",
    "policy_no_safety": "policy[safety=false]",
    "id_swaps": "eval.ablations:IdSwaps",
    "rich_only": "joint[perception.answers=rich]",
    "coarse_only": "joint[perception.answers=coarse]",
    "uncalibrated": "joint[perception.calibrated=false]",
    "oracle": "eval.oracle:Oracle",
    "privileged": "eval.told:Told",
    "privileged_marginal": "privileged[behaviours.prediction=frozen,behaviours.branching=none]",
    "competent": "eval.competent:CompetentDriver",
    "first_come": "sim.traffic.opponents.first_come:FirstCome",
    "timid_waver": "sim.traffic.opponents.timid_waver:TimidWaver",
    "tailgater": "sim.traffic.opponents.tailgater:Tailgater",
    "level_k": "sim.traffic.opponents.level_k:LevelK",
    "bluffer": "sim.traffic.opponents.bluffer:Bluffer",
    "distracted": "sim.traffic.opponents.distracted:Distracted",
}
"""Name -> where the class is, or another name with settings; it is imported when it is asked for."""


class Onlooker(ABC):
    """A driver that looks at the world it is seated in: a reference, never something that is evaluated."""

    @abstractmethod
    def tell(self, scenario: Scenario, world: World, ego: int) -> None:
        """The world, before the first tick, and which actor it drives."""


_HOW = f"Give one of {', '.join(DRIVERS)}, package.module:Class, file.py:Class or policy:FILE.npz"
_TRAINED = re.compile(r"^policy:(?P<file>[^\[\]]+\.npz)$")
_SETTINGS = re.compile(r"^(?P<name>[^\[\]]+)\[(?P<settings>[^\[\]]*)\]$")


def place_of(name: str) -> tuple[str, str]:
    """Where the class of a driver is, and its settings ("a.b=1,c=2"): of `name` itself, or of what DRIVERS has under it."""
    trained = _TRAINED.match(name)
    if trained is not None:
        return DRIVERS["policy"], f"weights={trained['file']}"
    found = _SETTINGS.match(DRIVERS.get(name, name))
    if found is None:
        return DRIVERS.get(name, name), ""
    place, inner = place_of(found["name"])
    return place, ",".join(part for part in (inner, found["settings"]) if part)


def load_driver(name: str) -> Driver[object]:
    """A new driver called `name`, of the stack and policies also with settings: `joint[behaviours.learn=false,safety=false]`.

    Raises InputError: unknown name, missing file or module, no such class, a class that is not a Driver or needs arguments,
    settings that it does not have.
    """
    place, settings = place_of(name)
    source, colon, class_name = place.rpartition(":")
    if name.endswith(".py"):
        raise InputError(f"driver {name!r} names a file but no class in it", fix=f"Give {name}:Class")
    if not colon or not source or not class_name:
        near = difflib.get_close_matches(name, DRIVERS, n=1)
        raise InputError(f"unknown driver {name!r}", fix=f"Did you mean {near[0]!r}?" if near else _HOW)
    module = _load_file(source) if source.endswith(".py") else _load_module(source)
    found = getattr(module, class_name, None)
    if found is None:
        raise InputError(f"driver {name!r}: {source} has no class {class_name!r}", fix=_nearest_class(module, class_name))
    driver = _build(name, found)
    return configured(name, driver, settings) if settings else driver


def _build(name: str, found: object) -> Driver[object]:
    """An instance of a driver class, checked to have the two methods with the right number of parameters."""
    if not inspect.isclass(found):
        raise InputError(f"driver {name!r} is not a class but a {type(found).__name__}", fix=_HOW)
    for method, parameters in (("start", ("road_map", "route", "spec", "seed")), ("step", ("frame", "memory"))):
        _check_method(name, found, method, parameters)
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise InputError(
            f"driver {name!r}: its constructor needs arguments ({error})", fix="Give every parameter a default"
        ) from None
    try:
        return cast(Driver[object], found())
    except Exception as error:  # whatever a user's constructor raises is theirs to see
        raise _failure(f"making the driver {name!r}", error) from error


def _check_method(name: str, found: type, method: str, parameters: tuple[str, ...]) -> None:
    fix = f"Define {method}(self, {', '.join(parameters)}) as in sim.interface.Driver"
    function = getattr(found, method, None)
    if not callable(function):
        raise InputError(f"driver {name!r} is not a Driver: it has no method {method}", fix=fix)
    try:
        inspect.signature(function).bind(None, *parameters)
    except TypeError as error:
        raise InputError(f"driver {name!r} is not a Driver: {method} cannot be called ({error})", fix=fix) from None


def _load_module(source: str) -> ModuleType:
    # The console script's own folder is first on the path, not the user's: their package lies where they stand.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name and (source == error.name or source.startswith(error.name + ".")):
            raise InputError(f"no module {source!r} for the driver", fix=_HOW) from None
        raise _failure(f"importing the driver's {source}", error) from error
    except Exception as error:  # whatever a user's module raises while it is imported is theirs to see
        raise _failure(f"importing the driver's {source}", error) from error


def _load_file(source: str) -> ModuleType:
    path = Path(source).resolve()
    if not path.is_file():
        raise InputError(f"no driver file {source!r}", fix=_HOW)
    # The same file gives the same module name in every process, so that memories can be pickled.
    name = f"avstack_driver_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"cannot import the driver file {source!r}", fix=_HOW)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _failure(f"importing the driver's {source}", error) from error
    return module


def _failure(what: str, error: Exception) -> InputError:
    """The user's file and line where their code went wrong."""
    message = f"{what} failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if isinstance(error, SyntaxError):
        return InputError(message, file=error.filename, line=error.lineno, column=error.offset)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    last = frames[-1] if frames else None
    return InputError(message, file=last.filename if last else None, line=last.lineno if last else None)


def _nearest_class(module: ModuleType, class_name: str) -> str:
    classes = [name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__]
    near = difflib.get_close_matches(class_name, classes, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Its classes are {', '.join(classes)}" if classes else "It defines no class"
