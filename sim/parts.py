"""How kernels become machine code: each is translated once, and optimised only as a part of what Python calls.

numba optimises every function and makes machine code of it, together with copies of all that it calls, of all that those call
and so on. A tick is some two hundred functions, a dozen calls deep: doing it once, for the outermost alone, more than halves the
work.

A unit is the exception: code that several others call, and big enough that compiling it twice, or after the others, would take
longer than the calls across the border between them. It has a name of its own in the process, and callers know only that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba.core import compiler, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import PassManager
from numba.core.funcdesc import ExternalFunctionDescriptor
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import (
    AnnotateTypes,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.typing.templates import make_concrete_template
from numba.core.untyped_passes import FixupArgs, GenericRewrites, IRProcessing, ReconstructSSA, TranslateByteCode


class _Pipeline(compiler.CompilerBase):
    """numba's passes less those that find nothing to do in kernels: no closures, no array expressions, no Python objects."""

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("kernel")
        for one in (
            TranslateByteCode, FixupArgs, IRProcessing, GenericRewrites, ReconstructSSA, NopythonTypeInference, PreLowerStripPhis,
            IRLegalization, AnnotateTypes, NativeLowering, NoPythonBackend,
        ):  # fmt: skip
            passes.add_pass(one, one.__name__)
        passes.finalize()
        return [passes]


class _Part(JITCodeLibrary):
    """Code that is only ever part of a kernel that Python calls: optimised and turned into machine code there alone.

    numba would do both for every kernel with all that it calls, so that the innermost ones pass through a dozen times.
    """

    def add_llvm_module(self, ll_module: Any) -> None:
        self._final_module.link_in(ll_module)

    def finalize(self) -> None:
        self._finalized = True


def plain_type(kind: Any) -> Any:
    """The type that stands for all alike: no versions of a kernel for each constant and each width of an integer."""
    kind = types.unliteral(kind)
    return types.int64 if isinstance(kind, types.Integer) and kind != types.uint64 else kind


@functools.cache
def _load_numba() -> None:
    """Load what numba translates arrays with, but for scipy's linear algebra, which takes a fifth of a second.

    numba loads that to see whether it is there. It is (`pyproject.toml` asks for it); who uses it loads it then.
    """
    from numba.np import linalg

    wanted: Any = linalg
    check = wanted.ensure_blas
    wanted.ensure_blas = lambda: None
    try:
        from numba.np import arraymath
    finally:
        wanted.ensure_blas = check
    reader: Any = arraymath
    reader.ensure_blas = check


class Kernel(CPUDispatcher):
    """A function that Python calls as any of numba's, and that is a part of the kernels that call it.

    units: those whose code this one's machine code may call; they are loaded before it is.
    """

    def __init__(
        self, function: Callable[..., Any], targetoptions: dict[str, Any], units: Callable[[], tuple[Unit, ...]]
    ) -> None:
        super().__init__(function, targetoptions=targetoptions, pipeline_class=_Pipeline)
        self._folding: Any = getattr(self, "_compiler")  # noqa: B009  not in numba's annotations
        self._parts: dict[tuple[Any, ...], tuple[object, Any]] = {}
        self._units = units

    def compile(self, sig: Any) -> Any:
        """Make or load the machine code for these types, after that of all units that it may call."""
        _load_numba()
        for one in self._units():
            if one is not self:
                one.load()
        return super().compile(sig)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What numba asks for a call from another kernel."""
        shape, folded = self._folding.fold_argument_types(args, kws)
        kinds = tuple(map(plain_type, folded))
        if kinds not in self._parts:
            self._parts[kinds] = self._part(kinds)
        name = self.py_func.__name__
        return make_concrete_template(name, key=name, signatures=[self._parts[kinds][1]]), shape, kinds, {}

    def get_overload(self, sig: Any) -> Any:
        """What numba calls the version for these types by."""
        return self._parts[tuple(sig)][0] if tuple(sig) in self._parts else super().get_overload(sig)

    def _part(self, kinds: tuple[Any, ...]) -> tuple[object, Any]:
        """Translate for these types, without making machine code: (key, signature)."""
        flags: Any = compiler.Flags()
        context: Any = self.targetctx
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        flags.no_compile = flags.no_cpython_wrapper = True
        library = _Part(context.codegen(), self.py_func.__qualname__)
        made = compiler.compile_extra(
            self.typingctx, context, self.py_func, kinds, None, flags, {}, library=library, pipeline_class=_Pipeline
        )  # fmt: skip
        key = object()
        context.insert_user_function(key, made.fndesc, [library, *library._linking_libraries])
        return key, made.signature


class Unit(Kernel):
    """A kernel that returns nothing and stays a piece of machine code of its own, which other kernels call by its name."""

    callable_here = True
    """False in a process that compiles callers for others to run and needs no unit itself."""

    def __init__(
        self,
        function: Callable[..., Any],
        targetoptions: dict[str, Any],
        units: Callable[[], tuple[Unit, ...]],
        kinds: tuple[Any, ...],
    ) -> None:
        super().__init__(function, targetoptions, units)
        self.source = Path(function.__code__.co_filename).resolve()
        self._kinds = kinds
        self._symbol = f"{function.__module__}.{function.__qualname__}"
        self._loaded = False

    def load(self) -> None:
        """Make the machine code known by its name, compiling it where need be."""
        if self._loaded:
            return
        address = 1  # callers can be linked, not run
        if Unit.callable_here:
            self.compile(self._kinds)
            made: Any = self.overloads[self._kinds]
            address = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
        binding.add_symbol(self._symbol, address)
        self._loaded = True

    def _part(self, kinds: tuple[Any, ...]) -> tuple[object, Any]:
        if kinds != self._kinds:
            raise TypeError(f"{self._symbol} is compiled for {self._kinds}, not for {kinds}")
        self.load()
        key = object()
        self.targetctx.insert_user_function(key, ExternalFunctionDescriptor(self._symbol, types.none, kinds), [])
        return key, types.none(*kinds)
