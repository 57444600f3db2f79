"""A batch of worlds on a CUDA GPU (extra `cuda`): one thread a world runs the very kernels of the processor.

States, actions, observations and rewards stay on the device. What a step gives has `__cuda_array_interface__`, so that
`torch.as_tensor(outcome.observations, device="cuda")` is a view of it, and actions may be a tensor there. Episodes begin and go
on as those of `BatchEnv` with the same seeds; only resets go by way of the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.envs.config import MANOEUVRES, ActionKind, Autoreset, EnvConfig, EnvError, ObservationKind
from sim.envs.core import BatchEnv
from sim.scenario import Scenario

THREADS = 64
"""Of a block: few, because a world's thread has much to remember."""
_NONE = 2**31 - 1  # no bad action
_STAYS = ("paths", "sights")  # working memory, which no episode begins with


class DeviceOutcome(NamedTuple):
    """As `Outcome`, of arrays on the device."""

    observations: Any
    rewards: Any
    terminated: Any
    truncated: Any


def require_device() -> None:
    """EnvError that says what is missing for worlds to run on a GPU."""
    from numba import cuda

    if cuda.config.ENABLE_CUDASIM:
        return
    if getattr(cuda, "implementation", "") != "NVIDIA":
        raise EnvError("device 'cuda' needs numba-cuda: pip install 'avstack-sim[cuda]'")
    if not cuda.is_available():
        told = str(cuda.cuda_error() or "the driver shows none")
        raise EnvError(f"device 'cuda' finds no GPU: {' '.join(told.split()).strip(' :')}")


class CudaBatchEnv:
    """As `BatchEnv`, on a GPU. EnvError where there is none, and for what only the processor does.

    Episodes begin anew by themselves (NextStep or SameStep); a reset is of all worlds. Arrays of an outcome are overwritten by
    the next step, but for observations where `config.copy` asks for copies. `last_observations`: with SameStep (W, K, size) what
    was seen last, of the worlds where `over` (W,) says that this step ended an episode.
    """

    def __init__(self, scenarios: Sequence[Scenario], worlds: int = 1, config: EnvConfig | None = None) -> None:
        require_device()
        self.config = EnvConfig() if config is None else config
        if self.config.observation != ObservationKind.VECTOR:
            raise EnvError(f"observation {str(self.config.observation)!r} is not made on a GPU; use 'vector'")
        if self.config.autoreset == Autoreset.DISABLED:
            raise EnvError("autoreset 'Disabled' is not for a GPU, where single worlds cannot be reset; use 'SameStep'")
        self._host = BatchEnv(scenarios, worlds, self.config)
        self.worlds, self.agents, self.action_shape = self._host.worlds, self._host.agents, self._host.action_shape
        self.observation_shape, self.observation_dtype = self._host.observation_shape, self._host.observation_dtype
        self._blocks = -(-self.worlds // THREADS), THREADS
        self._whole = self.config.action == ActionKind.MANOEUVRE
        self._started = False
        self._upload_stock()

    def _upload_stock(self) -> None:
        """What stays as it is."""
        from numba import cuda

        from sim.envs.device import upload

        host, stock = self._host, self._host.stock
        self._cuda = cuda
        self._names = tuple(name for name in stock.state._fields if name not in _STAYS)
        self._roads, self._starts = upload(stock.roads), upload(stock.state, self._names)
        self._tracks, self._idle = cuda.to_device(stock.tracks), cuda.to_device(host._idle)
        plain = stock.slots, stock.limits, host._base, host._styles, host._spans
        self._episodes = tuple(cuda.to_device(array) for array in plain)
        self._view = cuda.to_device(host._view[1]), *host._view[2:]
        places = self.worlds, self.agents
        self._rewards = cuda.device_array(places, np.float32)
        self._terminated, self._truncated = cuda.device_array(places, np.bool_), cuda.device_array(places, np.bool_)
        self.over = cuda.device_array(self.worlds, np.bool_)
        self._numbers = cuda.device_array(self.worlds, np.int64)
        self._flags = cuda.device_array(2, np.int64)
        self.last_observations = cuda.device_array((*places, *self.observation_shape), np.float32)

    def reset(self, seeds: Sequence[int | None] | None = None) -> Any:
        """Begin an episode in all worlds, as `BatchEnv.reset`; gives the observations (W, K, size) on the device."""
        from sim.envs.device import upload

        self._host.reset(seeds)
        self._state, self._agents = upload(self._host.state), upload(self._host.tables)
        self._rows = self._cuda.to_device(self._host._rows)
        self._started = True
        return self._given()

    def step(self, actions: Any) -> DeviceOutcome:
        """`config.repeat` ticks in every world with the actions (W, K[, C]), an array here or on the device."""
        from sim.envs import launches

        if not self._started:
            raise EnvError("reset the environment before its first step")
        given = self._taken(actions)
        self._flags.copy_to_device(np.array([_NONE, 0], np.int64))
        launches.take[self._blocks](self._agents.words, given, self._host._kind, self._flags)
        bad, over = (int(flag) for flag in self._flags.copy_to_host())
        if bad != _NONE:
            self._refuse(given, bad)
        if over and self.config.autoreset == Autoreset.NEXT_STEP:
            self._renew(1)
        launches.advance[self._blocks](
            self._state.words, self._roads.words, self._tracks, self._idle, self._agents.words, self._host._kind,
            self.config.repeat, self._rows, *self._view, self._rewards, self._terminated, self._truncated, self.over,
        )  # fmt: skip
        if self.config.autoreset == Autoreset.SAME_STEP:
            self._renew(0)
        return DeviceOutcome(self._given(), self._rewards, self._terminated, self._truncated)

    def close(self) -> None:
        """Nothing is to be let go of but memory, which goes with the environment."""
        self._host.close()

    def _renew(self, fresh: int) -> None:
        """Begin the next episode wherever one is over."""
        from sim.envs import launches

        slots = self._episodes[0]
        launches.begin[self._blocks](self._agents.words, *self._episodes, self._rows, self.last_observations, self._numbers)
        for name in self._names:
            launches.copy_worlds[self.worlds, THREADS](self._state.rows[name], self._starts.rows[name], self._numbers)
        launches.show[self._blocks](
            self._state.words, self._roads.words, self._agents.words, slots, self._numbers, fresh, self._rows, *self._view
        )

    def _given(self) -> Any:
        if not self.config.copy:
            return self._rows
        copy = self._cuda.device_array(self._rows.shape, np.float32)
        copy.copy_to_device(self._rows)
        return copy

    def _taken(self, actions: Any) -> Any:
        """Actions (W, K, C) on the device. EnvError for a wrong shape or type."""
        if hasattr(actions, "copy_to_host"):
            given = actions
        elif hasattr(actions, "__cuda_array_interface__"):
            given = self._cuda.as_cuda_array(actions)
        else:
            given = np.asarray(actions)
        if tuple(given.shape) != self.action_shape:
            raise EnvError(f"actions must have shape {self.action_shape}, got {tuple(given.shape)}")
        kinds, wanted = ("iu", np.dtype(np.int64)) if self._whole else ("f", np.dtype(np.float32))
        if given.dtype.kind not in kinds:
            raise EnvError(f"{self.config.action} actions must be {'integers' if self._whole else 'floats'}, got {given.dtype}")
        if isinstance(given, np.ndarray):
            given = self._cuda.to_device(np.ascontiguousarray(given, wanted))
        elif given.dtype != wanted:
            raise EnvError(f"actions on the device must be {wanted}, got {given.dtype}")
        return given.reshape(self.worlds, self.agents, -1) if self._whole else given

    def _refuse(self, given: Any, bad: int) -> None:
        world, agent, component = bad // (2 * self.agents), bad // 2 % self.agents, bad % 2
        value: NDArray[Any] = given.copy_to_host()[world, agent, component]
        allowed = f"0 to {len(MANOEUVRES) - 1}" if self._whole else "within -1 to 1"
        raise EnvError(f"action of agent {agent} in world {world}, component {component}: {value!r}; it must be {allowed}")
