"""What the neighbours of lanelets tell, in whatever format: which of them are one road, and on which side traffic keeps."""

from __future__ import annotations

from collections.abc import Mapping

from scenarios.formats.crossings import Laid


def roads_of(lanelets: Mapping[str, Laid]) -> dict[str, str]:
    """The least id of the lanelets abreast in one direction, by lanelet."""
    group: dict[str, str] = {}
    for name in lanelets:
        if name in group:
            continue
        members, front = {name}, [name]
        while front:
            lanelet = lanelets[front.pop()]
            for neighbour in (lanelet.left_neighbour, lanelet.right_neighbour):
                if neighbour is not None and neighbour[1] and neighbour[0] not in members:
                    members.add(neighbour[0])
                    front.append(neighbour[0])
        group.update(dict.fromkeys(members, min(members, key=lambda member: (len(member), member))))
    return group


def keeps_left(lanelets: Mapping[str, Laid]) -> bool:
    """Whether more lanelets have oncoming ones of these on their right than on their left."""
    balance = 0
    for lanelet in lanelets.values():
        for neighbour, weight in ((lanelet.left_neighbour, -1), (lanelet.right_neighbour, 1)):
            balance += weight if neighbour is not None and not neighbour[1] and neighbour[0] in lanelets else 0
    return balance > 0
