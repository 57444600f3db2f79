"""What is claimed, in words: every goal's statement, what it is about, and why its parts and its evidence would bear it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.safety_case.argument import Claim, Evidence, Nature

GOALS: Mapping[str, tuple[Nature, str, str]] = {
    "G1": (
        Nature.BOTH,
        "The driver causes no unreasonable risk wherever it was evaluated.",
        "Over what could do harm: a wrong decision (G2), a wrong picture of the world to decide on (G3), nothing that catches "
        "either (G4), and a ride that throws people about (G5); over whether what it was tried on is what it will meet (G6); and "
        "over whether the evidence for all of this can be trusted (G7). Learned parts are argued about like the others: by what "
        "was observed, with the same limits on the whole.",
    ),
    "G2": (
        Nature.DESIGNED,
        "What it decides does no harm.",
        "By outcomes, in three ways of saying whose a collision is; and by the failure modes known of planners that negotiate.",
    ),
    "G2.1": (Nature.BOTH, "It causes a collision in at most one of a thousand episodes.", ""),
    "G2.2": (Nature.BOTH, "It stays on the road, does not fail as a program, and arrives.", ""),
    "G2.3": (Nature.DESIGNED, "It does not freeze, dither, bully, or frighten people on foot.", ""),
    "G3": (
        Nature.BOTH,
        "What it believes is right as often as it says, so that its decisions weigh the right risks.",
        "One test for learned and designed beliefs alike: forecasts against what happened. Where the learned model does not "
        "know, one that needs to know less answers for it, and the car is slower; so of the learned parts only their doubt has "
        "to be right, and what must be gone around has to be found.",
    ),
    "G3.1": (Nature.DESIGNED, "Its beliefs about others' intentions are calibrated.", ""),
    "G3.2": (
        Nature.LEARNED,
        "The learned perception's scores, intervals and trust are calibrated, also for what it was not trained on.",
        "",
    ),
    "G3.3": (Nature.LEARNED, "What must be gone around is found, whether its kind is known or not.", ""),
    "G3.4": (Nature.BOTH, "With the learned perception in the loop it causes no more collisions.", ""),
    "G4": (
        Nature.DESIGNED,
        "A fallback is always available: a verified way out, under written assumptions.",
        "The envelope has the last word whatever the rest decides, so that this claim needs nothing of the learned parts but "
        "their stated errors. A way out was looked for at every tick; the same figure of a driver without the envelope must be "
        "lower, or the episodes would be too easy to tell; and where others break an assumption, that is counted.",
    ),
    "G4.1": (Nature.DESIGNED, "While the assumptions hold, there is a verified way out at every tick.", ""),
    "G4.2": (Nature.DESIGNED, "The figure can tell: without the envelope it is lower.", ""),
    "G4.3": (Nature.DESIGNED, "How often the assumptions fail is known.", ""),
    "G5": (
        Nature.DESIGNED,
        "The ride throws nobody about.",
        "Jerk and braking as passengers feel them; harder braking is the envelope's, for a reason that it names.",
    ),
    "G6": (
        Nature.BOTH,
        "It was tried on what it will meet.",
        "Every family of the catalogue, the known failure modes and real maps, by this driver, in enough episodes each.",
    ),
    "G6.1": (Nature.BOTH, "Every family of scenarios was driven.", ""),
    "G6.2": (Nature.BOTH, "The known failure modes and real maps were driven.", ""),
    "G6.3": (Nature.LEARNED, "It was driven from lidar points, with the learned perception.", ""),
    "G7": (
        Nature.BOTH,
        "The evidence can be trusted.",
        "By where it is from, and by driving some of it again: an episode is the same, bit for bit, each time.",
    ),
}
"""Name -> (what it is about, statement, argument)."""


def goal(name: str, evidence: Sequence[Evidence] = (), parts: Sequence[Claim] = ()) -> Claim:
    """The claim of a name with what bears it out."""
    nature, text, argument = GOALS[name]
    return Claim(name=name, text=text, nature=nature, argument=argument, evidence=tuple(evidence), parts=tuple(parts))
