"""Pictures of one world of a batch: as an array, or in a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.envs.config import EnvError
from sim.roads.outline import MapOutline, outline

if TYPE_CHECKING:
    from sim.envs.core import BatchEnv

RENDER_MODES = ("human", "rgb_array")
FPS = 10


class Renderer:
    """Draws world 0. EnvError for a mode that is not one of RENDER_MODES."""

    def __init__(self, mode: str | None) -> None:
        if mode is not None and mode not in RENDER_MODES:
            raise EnvError(f"unknown render_mode {mode!r}; known: {', '.join(RENDER_MODES)}")
        self.mode = mode
        self._drawings: dict[int, MapOutline] = {}
        self._window = False

    def draw(self, core: BatchEnv) -> NDArray[np.uint8] | None:
        """(H, W, 3) of the world as it is now; shown in the window instead in the mode `human`."""
        if self.mode is None:
            return None
        from sim.viewer import live

        picture = live.draw_live(self._drawing(core), core.state.bodies[0], self._own(core), self._time(core))
        if self.mode == "rgb_array":
            return live.pixels(picture)
        live.show(picture)
        self._window = True
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window:
            from sim.viewer import live

            live.hide()
            self._window = False

    def _drawing(self, core: BatchEnv) -> MapOutline:
        road_map = core.stock.scenarios[int(core.tables.episodes["number"][0])].road_map
        if id(road_map) not in self._drawings:
            self._drawings[id(road_map)] = outline(road_map)
        return self._drawings[id(road_map)]

    @staticmethod
    def _own(core: BatchEnv) -> list[int]:
        return [int(slot) for slot in core.tables.agents["slot"][0] if slot >= 0]

    @staticmethod
    def _time(core: BatchEnv) -> float:
        return 0.1 * float(core.state.worlds["tick"][0])
