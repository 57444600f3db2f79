"""What the rich model tells apart, and the kinds of road user that its classes stand for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from sim.interface import Kind


class Class(IntEnum):
    """Classes of the rich model. DRIVE_THROUGH: bags, grass and the like. UNKNOWN: something solid that is none of the others."""

    VEHICLE = 0
    TRUCK = 1
    PEDESTRIAN = 2
    CYCLIST = 3
    CONE = 4
    PILE = 5
    DRIVE_THROUGH = 6
    UNKNOWN = 7


CLASS_OF_KIND: Mapping[Kind, Class] = {
    Kind.CAR: Class.VEHICLE, Kind.VAN: Class.VEHICLE, Kind.TRUCK: Class.TRUCK, Kind.BUS: Class.TRUCK,
    Kind.MOTORCYCLE: Class.CYCLIST, Kind.BICYCLE: Class.CYCLIST, Kind.PEDESTRIAN: Class.PEDESTRIAN,
}  # fmt: skip
CLASS_OF_THING: Mapping[str, Class] = {
    "parked_car": Class.VEHICLE, "parked_van": Class.VEHICLE, "cone": Class.CONE, "dirt_pile": Class.PILE,
    "plastic_bag": Class.DRIVE_THROUGH, "tall_grass": Class.DRIVE_THROUGH,
}  # fmt: skip
"""Things by name; any other is UNKNOWN."""

KNOWN = tuple(one for one in Class if one != Class.UNKNOWN)
ROAD_USER_OF: Mapping[Class, Kind] = {
    Class.VEHICLE: Kind.CAR, Class.TRUCK: Kind.TRUCK, Class.PEDESTRIAN: Kind.PEDESTRIAN, Class.CYCLIST: Kind.BICYCLE,
    Class.CONE: Kind.OBJECT, Class.PILE: Kind.OBJECT, Class.DRIVE_THROUGH: Kind.OBJECT, Class.UNKNOWN: Kind.OBJECT,
}  # fmt: skip
