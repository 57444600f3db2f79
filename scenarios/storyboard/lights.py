"""Traffic lights of OpenSCENARIO files as programmes of our signal groups.

Controllers of the road network run through their phases from their delay on; `Init` may start one in another phase, or hold a
single light. What changes a light later, and lights of one of our groups that are told different things, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from scenarios.formats.openscenario_file import Instance, unsupported
from scenarios.formats.xml import Element
from scenarios.nearest import nearest
from sim.interface import Colour
from sim.roads.assemble import signal_arrays
from sim.roads.lane_map import LaneMap, SignalPlan
from sim.roads.outline import signal_colour, signal_plan

WORDS = {
    "red": Colour.RED, "yellow": Colour.YELLOW, "amber": Colour.YELLOW, "green": Colour.GREEN, "redyellow": Colour.RED,
    "off": Colour.OFF,
}  # fmt: skip
HELD_S = 3600.0
Plans = Mapping[str, SignalPlan]


def colour_of(element: Element) -> Colour:
    """The colour that a state means: a word, or lamps from top to bottom as `on;off;off`."""
    text = element.text("state")
    lamps = [part.strip().lower() for part in text.split(";")]
    if len(lamps) == 3 and all(lamp in ("on", "off", "true", "false") for lamp in lamps):
        red, yellow, green = (lamp in ("on", "true") for lamp in lamps)
        return Colour.GREEN if green else Colour.RED if red else Colour.YELLOW if yellow else Colour.OFF
    found = WORDS.get(text.strip().lower().replace(" ", "").replace("-", ""))
    if found is None:
        raise element.error(f"state {text!r} is not known", f"Use {', '.join(WORDS)}, or three lamps as on;off;off.")
    return found


def plans_of(instance: Instance, lights: Mapping[str, frozenset[str]]) -> dict[str, SignalPlan]:
    """Programmes by signal group, of the groups that the file says something of."""
    plans: dict[str, SignalPlan] = {}
    started = _started(instance)
    block = instance.root.need("RoadNetwork").child("TrafficSignals")
    for controller in block.all("TrafficSignalController") if block is not None else ():
        if "reference" in controller.attributes and controller.text("reference"):
            raise unsupported(controller)
        for group, plan in _controlled(controller, lights, started).items():
            if group in plans:
                raise controller.error(f"group {group!r} has two controllers", "Leave one out.")
            plans[group] = plan
    for action in _init_actions(instance, "TrafficSignalStateAction"):
        for group in groups_of(action, action.text("name"), lights):
            plans[group] = SignalPlan(name=group, phases=((HELD_S, colour_of(action)),))
    return plans


def with_plans(road_map: LaneMap, plans: Plans) -> LaneMap:
    """The map with these programmes in place of its own."""
    if not plans:
        return road_map
    own = [plans.get(name) or signal_plan(road_map, k) for k, name in enumerate(road_map.signal_names)]
    signals, phases = signal_arrays(own)
    for array in (signals, phases):
        array.setflags(write=False)
    return replace(road_map, signals=signals, phases=phases)


def shows(road_map: LaneMap, plans: Plans, group: str, time_s: float) -> Colour:
    """What a group shows at a time [s], by these programmes or else by the map's."""
    return signal_colour(plans.get(group) or signal_plan(road_map, road_map.signal_names.index(group)), time_s)


def groups_of(element: Element, light: str, lights: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Our groups of a light of the file."""
    if light not in lights:
        raise element.error(f"light {light!r} is not on the map{nearest(light, lights)}", "Correct its id.")
    return lights[light]


def _init_actions(instance: Instance, tag: str) -> list[Element]:
    init = instance.root.need("Storyboard").need("Init")
    return [one for one in init.walk() if one.tag == tag]


def _started(instance: Instance) -> dict[str, str]:
    """The phase in which `Init` starts a controller."""
    found = {}
    for action in _init_actions(instance, "TrafficSignalControllerAction"):
        found[action.text("trafficSignalControllerRef")] = action.text("phase")
    return found


def _controlled(controller: Element, lights: Mapping[str, frozenset[str]], started: Mapping[str, str]) -> dict[str, SignalPlan]:
    """Programmes of the groups of one controller, all of the same phases."""
    phases = controller.all("Phase")
    if not phases:
        raise controller.error("has no <Phase>", "Add one.")
    names = [phase.text("name") for phase in phases]
    name = controller.text("name")
    if name in started:
        if started[name] not in names:
            raise controller.error(
                f"has no phase {started[name]!r}{nearest(started[name], names)}", "Correct the action in Init."
            )
        at = names.index(started[name])
        phases = phases[at:] + phases[:at]
    colours: dict[str, list[Colour]] = {}
    for number, phase in enumerate(phases):
        for state in phase.all("TrafficSignalState"):
            for group in groups_of(state, state.text("trafficSignalId"), lights):
                told = colours.setdefault(group, [Colour.OFF] * number)
                if len(told) > number and told[number] != colour_of(state):
                    raise state.error(f"tells lights of group {group!r} different things", "Our map switches them together.")
                told[number:] = [colour_of(state)]
        for told in colours.values():
            told += [told[-1] if told else Colour.OFF] * (number + 1 - len(told))
    durations = [phase.number("duration", minimum=0.01) for phase in phases]
    return {
        group: SignalPlan(name=group, phases=tuple(zip(durations, told, strict=True)), offset_s=controller.number("delay", 0.0))
        for group, told in colours.items()
    }
