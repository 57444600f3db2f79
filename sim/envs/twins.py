"""Kernels compiled by numba-cuda (the extra `cuda`) from the Python functions that they are.

Multiplying and adding stay two steps, as on the processor: rounded once for both they would give other bits. Whole numbers are
all 64 bits wide and constants no types of their own, as in `sim.parts`, so that there is one version of a function.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any

from numba import cuda
from numba.core import types
from numba.cuda import typing
from numba.cuda.compiler import compile_cuda, kernel_fixup
from numba.cuda.cudadecl import registry as declared
from numba.cuda.cudadrv import nvvm
from numba.cuda.cudaimpl import registry as lowered
from numba.cuda.dispatcher import CUDADispatcher
from numba.cuda.extending import intrinsic
from numba.cuda.np.arrayobj import make_array
from numba.cuda.typing import templates

from sim import tables
from sim.parts import Kernel, plain_type

_NVVM = {"opt": 3, "fastmath": False, "fma": False}
_OPTIONS: dict[str, Any] = {"debug": False, "lineinfo": False, "opt": True, "fastmath": False, "extensions": []}
_assumed: list[tuple[int, int, str]] = []
"""Compute capability to compile for, in place of the device's, where there is one in it."""


def _adopt(template: type, base: type) -> Any:
    """A typing template of `sim.tables` among those of numba-cuda, which has classes of its own for them."""
    return type(template.__name__, (base,), {name: value for name, value in vars(template).items() if not name.startswith("__")})


declared.register_attr(_adopt(tables._SetAttributes, templates.AttributeTemplate))
declared.register_attr(_adopt(tables._TableAttributes, templates.AttributeTemplate))
declared.register_global(operator.getitem)(_adopt(tables._GetItem, templates.AbstractTemplate))
declared.register_global(operator.setitem)(_adopt(tables._SetItem, templates.AbstractTemplate))
lowered.lower_getattr_generic(tables.FieldsType)(tables._get_field)
lowered.lower_setattr_generic(tables.FieldsType)(tables._set_field)
lowered.lower_getattr_generic(tables.TableSetType)(tables._get_table)
lowered.lower_getattr(tables.TableType, "shape")(tables._get_shape)
for _index in (types.Integer, types.BaseTuple):
    lowered.lower(operator.getitem, tables.TableType, _index)(tables._getitem)
    lowered.lower(operator.setitem, tables.TableType, _index, types.Any)(tables._setitem)


@contextmanager
def _apart() -> Iterator[None]:
    """NVIDIA's compiler keeps multiplying and adding apart."""
    plain = nvvm.compile_ir
    nvvm.compile_ir = partial(plain, fma=False)
    try:
        yield
    finally:
        nvvm.compile_ir = plain


@contextmanager
def _at(capability: tuple[int, int]) -> Iterator[None]:
    """Compile for a device like this."""
    _assumed.append((*capability, ""))
    try:
        yield
    finally:
        _assumed.pop()


class Twin(CUDADispatcher):
    """A function that others call on the device."""

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What numba-cuda asks for a call."""
        shape, folded = self.fold_argument_types(args, kws)
        kinds = tuple(map(plain_type, folded))
        name = self.py_func.__name__
        made = typing.make_concrete_template(name, key=name, signatures=[self.compile_device(kinds).signature])
        return made, shape, kinds, {}

    def compile_device(self, args: Any, return_type: Any = None) -> Any:
        """Translate for these types."""
        if args not in self.overloads:
            target = _assumed[-1] if _assumed else cuda.get_current_device().compute_capability
            made = compile_cuda(self.py_func, return_type, args, nvvm_options=_NVVM, cc=target)
            self.overloads[args] = made
            made.target_context.insert_user_function(made.entry_point, made.fndesc, [made.library])
        return self.overloads[args]


class _Launched(CUDADispatcher):
    """A function that is launched."""

    def compile(self, sig: Any) -> Any:
        """Make its machine code; numba-cuda has no option that keeps multiplying and adding apart."""
        with _apart():
            return super().compile(sig)


_twins: dict[Any, Twin] = {}


def _with_twins(function: FunctionType) -> FunctionType:
    """The function, calling the twins of the kernels that it calls."""
    known = dict(function.__globals__)
    for name in function.__code__.co_names:
        if isinstance(known.get(name), Kernel):
            known[name] = on_device(known[name])
    return FunctionType(function.__code__, known, function.__name__, function.__defaults__, function.__closure__)


def on_device(kernel: Any) -> Twin:
    """The device's version of a kernel."""
    function = kernel.py_func
    if function not in _twins:
        _twins[function] = Twin(_with_twins(function), targetoptions={**_OPTIONS, "device": True})
    return _twins[function]


def launched(function: Callable[..., None]) -> Any:
    """A function to be launched: `made[blocks, threads](...)`."""
    return _Launched(function, targetoptions={**_OPTIONS, "device": False})


@intrinsic
def as_array(typingctx: Any, array: Any) -> Any:
    """An array that was handed to a launched function, as kernels take it."""
    return array(array), lambda context, builder, sig, args: args[0]


def as_set(kind: Any) -> Any:
    """What makes of a block of words the set of arrays that kernels receive."""
    shared = kind._numba_type_

    @intrinsic
    def load(typingctx: Any, words: Any) -> Any:
        def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            block = make_array(sig.args[0])(context, builder, args[0]).data
            return builder.bitcast(block, context.get_value_type(shared))

        return shared(words), build

    return load


def compile_launched(function: Any, arguments: tuple[Any, ...], capability: tuple[int, int]) -> str:
    """PTX of a launched function for arguments of these types, with no device at hand."""
    with _at(capability), _apart():
        code, _ = cuda.compile(function.py_func, arguments, device=False, abi="numba", cc=capability)
    return str(code)


def translate_launched(function: Any, arguments: tuple[Any, ...], capability: tuple[int, int]) -> tuple[str, list[str]]:
    """Name and modules, in LLVM's language, of what `compile_launched` gives to NVIDIA's compiler."""
    with _at(capability):
        made = compile_cuda(function.py_func, types.void, arguments, nvvm_options=_NVVM, cc=(*capability, ""))
        kernel_fixup(made.library.get_function(made.fndesc.llvm_func_name), False)
    return str(made.fndesc.llvm_func_name), [str(text) for text in made.library.llvm_strs]
