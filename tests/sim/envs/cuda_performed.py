"""What numba-cuda makes of a launched function, on this processor: for tests of the device's code where there is no device."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm

_PLACES = ("tid.x", "ctaid.x", "ntid.x")
_FROM_C = ("sqrt", "floor", "fabs", "fmin", "fmax", "pow", "sqrtf", "fabsf", "fminf", "fmaxf")


class Performed:
    """Called as a launched function: `made[blocks, threads](...)`; arrays are those of numba's simulator."""

    def __init__(self, entry: str, texts: Sequence[str]) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        library = ctypes.CDLL("libm.so.6")
        for name in _FROM_C:
            llvm.add_symbol(f"__nv_{name}", ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
        # where a thread is in its launch: read from variables in place of registers
        lines = [
            f'@"at.{name}" = global i32 0\ndefine i32 @"place.{name}"() {{\n %v = load i32, ptr @"at.{name}"\n ret i32 %v\n}}\n'
            for name in _PLACES
        ]
        whole = llvm.parse_assembly("".join(lines))
        for text in texts:
            plain = re.sub(r"^target (triple|datalayout).*$", "", text, flags=re.MULTILINE)
            whole.link_in(llvm.parse_assembly(plain.replace("llvm.nvvm.read.ptx.sreg.", "place.")))
        machine = llvm.Target.from_default_triple().create_target_machine(opt=1)
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
        passes.getModulePassManager().run(whole, passes)
        self._engine = llvm.create_mcjit_compiler(whole, machine)
        self._engine.finalize_object()
        self._address = self._engine.get_function_address(entry)
        self._at = [ctypes.c_int32.from_address(self._engine.get_global_value_address(f"at.{name}")) for name in _PLACES]

    def __getitem__(self, grid: tuple[int, int]) -> Callable[..., None]:
        return lambda *arguments: self._launch(*grid, arguments)

    def _launch(self, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        given: list[Any] = []
        for one in arguments:
            if hasattr(one, "_ary"):  # nobody's object, no parent, size, data, shape, strides
                array = one._ary
                numbers = 0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides
                given += [ctypes.c_int64(number) for number in numbers]
            else:
                given.append(ctypes.c_double(one) if isinstance(one, float) else ctypes.c_int64(int(one)))
        call = ctypes.CFUNCTYPE(None, *(type(one) for one in given))(self._address)
        thread, block, width = self._at
        width.value = threads
        for block.value in range(blocks):
            for thread.value in range(threads):
                call(*given)
