"""The catalogue: one family a file, one line here."""

from __future__ import annotations

from collections.abc import Mapping

from scenarios.catalogue import four_way_chicken, four_way_stop, signalised, t_junction, unprotected_left
from scenarios.catalogue.family import Family

FAMILIES: Mapping[str, Family] = {
    "four_way_stop": four_way_stop.FAMILY,
    "four_way_chicken": four_way_chicken.FAMILY,
    "t_junction": t_junction.FAMILY,
    "unprotected_left": unprotected_left.FAMILY,
    "signalised": signalised.FAMILY,
}
