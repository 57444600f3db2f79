"""Who else moves the road users of an episode: SUMO, a storyboard, or their own records."""

from __future__ import annotations

from contextlib import ExitStack

from eval.episode import Partner
from eval.reactions import Reactions, recorded
from eval.sumo import needs_sumo
from eval.sumo import partner as sumo_partner
from sim.scenario import Scenario


def partner_of(scenario: Scenario, stack: ExitStack) -> Partner | None:
    """The partner of a scenario's episodes, ended with the stack; None where nobody else moves anybody."""
    if needs_sumo(scenario):
        return stack.enter_context(sumo_partner(scenario))
    if scenario.script is not None:
        from eval.scripted import Player  # of no use to other scenarios

        return Player(scenario)
    return Reactions(scenario) if recorded(scenario) else None
