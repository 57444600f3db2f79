"""The storyboard as a machine: stories, acts, maneuver groups and events start, run and end by their triggers.

Semantics of ASAM OpenSCENARIO XML 1.3, chapter 7. One step a tick: triggers first, in the file's order, then everybody moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scenarios.formats.openscenario_file import Instance, unsupported
from scenarios.formats.openscenario_values import RULES
from scenarios.formats.xml import Element
from scenarios.storyboard.actions import DIMENSIONS, SHAPES, Actions, check_action
from scenarios.storyboard.conditions import EDGES, Trigger, trigger_of
from scenarios.storyboard.places import Places
from scenarios.storyboard.stage import Activity, Puppet, Stage
from sim.interface import TICK_S

STANDBY, RUNNING, COMPLETE = "standbyState", "runningState", "completeState"
PRIORITIES = ("overwrite", "override", "skip", "parallel")


@dataclass(slots=True, kw_only=True)
class Event:
    """Actions by name with who does them; left: so many times it may still run. going: (action, who, what) under way."""

    name: str
    priority: str
    actions: tuple[tuple[str, Element], ...]
    actors: tuple[Puppet, ...]
    trigger: Trigger | None
    left: int
    state: str = STANDBY
    going: list[tuple[str, Puppet, Activity]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Act:
    """Groups of maneuvers: (group, maneuver, events) by name."""

    name: str
    story: str
    start: Trigger | None
    stop: Trigger | None
    maneuvers: tuple[tuple[str, str, tuple[Event, ...]], ...]
    state: str = STANDBY


@dataclass(slots=True)
class Board:
    """A storyboard that is being played. over: its stop trigger has fired."""

    stage: Stage
    places: Places
    actions: Actions
    acts: tuple[Act, ...]
    stop: Trigger | None
    over: bool = False
    news: set[tuple[str, str, str]] = field(default_factory=set)

    def step(self) -> None:
        """From the stage's time to the next tick."""
        stage = self.stage
        stage.transitions, self.news = self.news, set()
        if self.stop is not None and self.stop.fires(stage, self.places):
            self.over = True
        for act in self.acts:
            self._play(act)
        for puppet in stage.puppets.values():
            if puppet.present and not puppet.driven and not puppet.handed_over:
                stage.move(puppet)
        for act in self.acts:
            for _, _, events in act.maneuvers:
                for event in events:
                    self._look_after(event)
        stage.time_s = round(stage.time_s + TICK_S, 6)

    def _set(self, kind: str, name: str, state: str, transition: str | None = None) -> None:
        self.stage.states[kind, name] = state
        if transition is not None:
            self.news.add((kind, name, transition))
            self.stage.transitions.add((kind, name, transition))

    def _play(self, act: Act) -> None:
        stage, places = self.stage, self.places
        if act.state == STANDBY and (act.start is None or act.start.fires(stage, places)):
            act.state = RUNNING
            self._set("act", act.name, RUNNING, "startTransition")
            if stage.states["story", act.story] == STANDBY:
                self._set("story", act.story, RUNNING, "startTransition")
            for group, maneuver, _ in act.maneuvers:
                self._set("maneuverGroup", group, RUNNING, "startTransition")
                self._set("maneuver", maneuver, RUNNING, "startTransition")
        if act.state != RUNNING:
            return
        if act.stop is not None and act.stop.fires(stage, places):
            for _, _, events in act.maneuvers:
                for event in events:
                    self._end(event, "stopTransition")
            self._complete(act, "stopTransition")
            return
        for _, _, events in act.maneuvers:
            for event in events:
                if event.state == STANDBY and event.left > 0 and (event.trigger is None or event.trigger.fires(stage, places)):
                    self._start(event, events)
        if all(event.state == COMPLETE for _, _, events in act.maneuvers for event in events):
            self._complete(act, "endTransition")

    def _complete(self, act: Act, transition: str) -> None:
        act.state = COMPLETE
        for group, maneuver, _ in act.maneuvers:
            self._set("maneuver", maneuver, COMPLETE, transition)
            self._set("maneuverGroup", group, COMPLETE, transition)
        self._set("act", act.name, COMPLETE, transition)
        if all(one.state == COMPLETE for one in self.acts if one.story == act.story):
            self._set("story", act.story, COMPLETE, transition)

    def _start(self, event: Event, others: Sequence[Event]) -> None:
        running = [other for other in others if other.state == RUNNING]
        event.left -= 1
        if event.priority == "skip" and running:
            self._set("event", event.name, STANDBY if event.left else COMPLETE, "skipTransition")
            event.state = STANDBY if event.left else COMPLETE
            return
        if event.priority in ("overwrite", "override"):
            for other in running:
                self._end(other, "stopTransition")
        event.state = RUNNING
        self._set("event", event.name, RUNNING, "startTransition")
        for name, action in event.actions:
            self._set("action", name, RUNNING, "startTransition")
            going = self.actions.begin(action, [one for one in event.actors if one.present or one.driven])
            event.going += [(name, puppet, activity) for puppet, activity in going]
            if not going:
                self._set("action", name, COMPLETE, "endTransition")

    def _look_after(self, event: Event) -> None:
        """End actions that are done or that others have taken the place of, and the event with the last of them."""
        if event.state != RUNNING:
            return
        still = [one for one in event.going if one[1].present and (one[1].along is one[2] or one[1].across is one[2])]
        ended = {name for name, _, _ in event.going} - {name for name, _, _ in still}
        for name in sorted(ended):
            self._set("action", name, COMPLETE, "endTransition")
        event.going = still
        if not still:
            event.state = STANDBY if event.left > 0 else COMPLETE
            self._set("event", event.name, event.state, "endTransition")

    def _end(self, event: Event, transition: str) -> None:
        if event.state == COMPLETE:
            return
        for name, puppet, activity in event.going:
            if puppet.along is activity:
                puppet.along = None
            if puppet.across is activity:
                puppet.across = None
            self._set("action", name, COMPLETE, transition)
        event.going = []
        event.state = COMPLETE
        self._set("event", event.name, COMPLETE, transition)


def board_of(instance: Instance, stage: Stage, places: Places, notes: list[str]) -> Board:
    """The storyboard of a file, its initial actions done. InputError for whatever in it is not supported."""
    storyboard = instance.root.need("Storyboard")
    _check_words(storyboard, places)
    actions = Actions(stage, places, instance, notes)
    for one in storyboard.need("Init").need("Actions").children:
        match one.tag:
            case "Private":
                puppet = places.puppet(one)
                driven, puppet.driven = puppet.driven, False  # everybody is put in its first place, ego too
                for action in one.all("PrivateAction"):
                    check_action(action)
                    actions.begin(action, [puppet])
                puppet.driven = driven
            case "GlobalAction":
                check_action(one, initial=True)
                actions.begin(one, [])
            case _:
                raise unsupported(one)
    acts = tuple(act for story in storyboard.all("Story") for act in _acts(story, instance, places))
    board = Board(stage, places, actions, acts, trigger_of(storyboard.child("StopTrigger")))
    for act in acts:
        for kind, name in (("story", act.story), ("act", act.name)):
            stage.states[kind, name] = STANDBY
        for group, maneuver, events in act.maneuvers:
            stage.states["maneuverGroup", group] = stage.states["maneuver", maneuver] = STANDBY
            for event in events:
                stage.states["event", event.name] = STANDBY
                stage.states.update({("action", name): STANDBY for name, _ in event.actions})
    return board


def _check_words(storyboard: Element, places: Places) -> None:
    """Names and words of the whole storyboard are known, before anything runs."""
    words = {"dynamicsShape": tuple(SHAPES), "dynamicsDimension": DIMENSIONS, "rule": tuple(RULES), "conditionEdge": EDGES}
    for one in storyboard.walk():
        for attribute, known in words.items():
            if attribute in one.attributes:
                one.choice(attribute, known)
        for attribute in ("entityRef", "masterEntityRef"):
            if attribute in one.attributes:
                places.puppet(one, attribute)


def _acts(story: Element, instance: Instance, places: Places) -> Iterator[Act]:
    if story.child("ParameterDeclarations") is not None and story.need("ParameterDeclarations").children:
        raise unsupported(story.need("ParameterDeclarations"))
    for act in story.all("Act"):
        maneuvers = []
        for group in act.all("ManeuverGroup"):
            actors = group.need("Actors")
            if actors.text("selectTriggeringEntities", "false") in ("true", "1"):
                raise unsupported(actors)
            who = tuple(places.puppet(one) for one in actors.all("EntityRef"))
            repeats = group.integer("maximumExecutionCount", 1)
            if repeats != 1:
                raise group.error(f"maximumExecutionCount={repeats} is not supported", "Repeat its events instead.")
            for held in group.children:
                if held.tag in ("Maneuver", "CatalogReference"):
                    maneuver = instance.looked_up(held)
                    events = tuple(_event(one, who) for one in maneuver.all("Event"))
                    maneuvers.append((group.text("name"), maneuver.text("name"), events))
        yield Act(
            name=act.text("name"), story=story.text("name"), start=trigger_of(act.child("StartTrigger")),
            stop=trigger_of(act.child("StopTrigger")), maneuvers=tuple(maneuvers),
        )  # fmt: skip


def _event(event: Element, actors: tuple[Puppet, ...]) -> Event:
    actions = tuple((one.text("name"), one) for one in event.all("Action"))
    if not actions:
        raise event.error("has no <Action>", "Add one.")
    for _, action in actions:
        check_action(action)
    return Event(
        name=event.text("name"), priority=event.choice("priority", PRIORITIES), actions=actions, actors=actors,
        trigger=trigger_of(event.child("StartTrigger")), left=max(event.integer("maximumExecutionCount", 1), 1),
    )  # fmt: skip
