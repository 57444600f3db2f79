"""What an episode is: schema, catalogue, readers of foreign formats. Importing it registers the catalogue with Gymnasium.

Only once both are imported, whichever comes first: neither Gymnasium nor the catalogue is to be waited for by who needs just a
part of this package (`avstack --help` takes a tenth of a second).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _RegisteringLoader(Loader):
    """Loads Gymnasium as ever, and tells it of the catalogue."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _register()


class _WaitForGymnasium(MetaPathFinder):
    """Finds Gymnasium where others find it, however often somebody just asks whether it is there."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "gymnasium" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


def _register() -> None:
    from scenarios.envs import register_envs

    register_envs()


if "gymnasium" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _WaitForGymnasium())
