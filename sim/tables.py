"""Sets of arrays that kernels receive as one pointer.

numba hands every array to a function as eight values and counts references to it atomically; a NamedTuple of two dozen
arrays then costs more to pass than most kernels take to run. `share` teaches numba to pass such a NamedTuple as a pointer to a
small block of (data, strides, shape), which lives as long as the outermost call. Kernels still write `state.bodies[w, a].x`;
indexing gives a record in place, a scalar, or a smaller table. Arrays must be C-contiguous (ValueError); the caller keeps them
alive, as it does for any call.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel.models import OpaqueModel, RecordModel, StructModel
from numba.core.imputils import lower_setattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import NativeValue, lower_builtin, lower_getattr, lower_getattr_generic, register_model, typeof_impl, unbox
from numba.np.arrayobj import record_getattr, record_setattr
from numpy.typing import NDArray

from sim.jit import CHECKED

_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_MAX_DIMENSIONS = 4
_WORDS = 1 + 2 * _MAX_DIMENSIONS  # data, strides, shape of one array
# Words of numpy's array object on a 64-bit machine: object head (2), data, number of dimensions, pointers to shape and strides,
# base and dtype (2), flags, of which the first tells that the elements lie in C order without gaps.
_DATA, _SHAPE, _STRIDES, _FLAGS = 2, 4, 5, 8


def _short_name(label: str, kind: types.Type) -> str:
    """A name for symbols: numba would spell every field of a record out, kilobytes at each mention of a function."""
    return f"{label}{hashlib.sha256(kind.name.encode()).hexdigest()[:12]}"


setattr(types.Record, "mangling_args", property(lambda record: (_short_name("Record", record), ())))  # noqa: B010  not in numba's types


class FieldsType(types.Record):
    """A record of a shared table. No other memory holds such records, so a store to one field leaves all others as they are, and
    the compiler is told so: without that it would read everything anew after every store."""


register_model(FieldsType)(RecordModel)


def _mark(builder: Any, access: Any, place: str) -> ir.Value:
    """Note that a load or store touches only what others do that are marked alike (type-based alias analysis)."""
    module = builder.module
    kind = module.add_metadata([place, module.add_metadata(["avstack"]), _WORD(0)])
    access.set_metadata("tbaa", module.add_metadata([kind, kind, _WORD(0)]))
    result: ir.Value = access
    return result


@lower_getattr_generic(FieldsType)
def _get_field(context: Any, builder: Any, typ: FieldsType, value: ir.Value, name: str) -> ir.Value:
    kind = typ.typeof(name)
    if not isinstance(kind, types.Integer | types.Float):
        result: ir.Value = record_getattr(context, builder, typ, value, name)
        return result
    pointer = cgutils.get_record_member(builder, value, typ.offset(name), context.get_data_type(kind))
    return _mark(builder, builder.load(pointer), f"{_short_name('Record', typ)}.{name}")


@lower_setattr_generic(FieldsType)
def _set_field(context: Any, builder: Any, sig: Any, args: tuple[ir.Value, ...], name: str) -> None:
    typ, given = sig.args
    kind = typ.typeof(name)
    if not isinstance(kind, types.Integer | types.Float):
        record_setattr(context, builder, sig, args, name)
        return
    pointer = cgutils.get_record_member(builder, args[0], typ.offset(name), context.get_data_type(kind))
    _mark(builder, builder.store(context.cast(builder, args[1], given, kind), pointer), f"{_short_name('Record', typ)}.{name}")


class TableType(types.Type):
    """One array of a set: elements of `dtype`, `ndim` indices left to give."""

    def __init__(self, dtype: types.Type, ndim: int) -> None:
        self.dtype = dtype
        self.ndim = ndim
        super().__init__(name=f"Table({dtype}, {ndim})")

    @property
    def mangling_args(self) -> tuple[str, tuple[object, ...]]:
        """What symbols show of the type."""
        return "Table", (self.dtype, self.ndim)


class TableSetType(types.Type):
    """A shared NamedTuple: a pointer to its block."""

    def __init__(self, label: str, fields: tuple[tuple[str, types.Type, int], ...]) -> None:
        self.label = label
        self.fields = fields
        self.places = {name: k for k, (name, _, _) in enumerate(fields)}
        super().__init__(name=f"{label}({', '.join(f'{n}: {d}[{k}]' for n, d, k in fields)})")

    @property
    def mangling_args(self) -> tuple[str, tuple[object, ...]]:
        """What symbols show of the type."""
        return _short_name(self.label, self), ()


@register_model(TableType)
class _TableModel(StructModel):
    def __init__(self, dmm: Any, fe_type: TableType) -> None:
        members: list[tuple[str, types.Type]] = [("data", types.voidptr)]
        members += [(f"stride{k}", types.intp) for k in range(fe_type.ndim)]
        members += [(f"shape{k}", types.intp) for k in range(fe_type.ndim)]
        super().__init__(dmm, fe_type, members)


@register_model(TableSetType)
class _TableSetModel(OpaqueModel):
    pass


def _element(dtype: np.dtype[Any]) -> types.Type:
    kind: types.Type = numba.from_dtype(dtype)
    if not isinstance(kind, types.Record):
        return kind
    fields: Any = [(name, field._asdict()) for name, field in kind.fields.items()]
    return FieldsType(fields, kind.size, kind.aligned)


def block_words(arrays: Sequence[tuple[int, tuple[int, ...], tuple[int, ...]]]) -> NDArray[np.int64]:
    """What `_unbox` makes of a set, from (address, strides, shape) of each of its arrays."""
    words = np.zeros((len(arrays), _WORDS), np.int64)
    for row, (address, strides, shape) in zip(words, arrays, strict=True):
        row[0] = address
        row[1 : 1 + len(strides)] = strides
        row[1 + _MAX_DIMENSIONS : 1 + _MAX_DIMENSIONS + len(shape)] = shape
    return words.ravel()


def share(kind: type, fields: Mapping[str, tuple[np.dtype[Any], int]]) -> None:
    """Let kernels receive instances of the NamedTuple `kind` as one pointer.

    fields: dtype and number of dimensions of every array by name, in the tuple's order; ValueError where names or order differ.
    """
    if tuple(fields) != kind._fields:  # type: ignore[attr-defined]
        raise ValueError(f"fields of {kind.__name__} are {kind._fields}, got {tuple(fields)}")  # type: ignore[attr-defined]
    described = tuple((name, _element(dtype), ndim) for name, (dtype, ndim) in fields.items())
    shared = TableSetType(kind.__name__, described)
    kind._numba_type_ = shared  # type: ignore[attr-defined]
    typeof_impl.register(kind)(lambda value, context: shared)


@unbox(TableSetType)
def _unbox(typ: TableSetType, obj: ir.Value, c: Any) -> NativeValue:
    """Copy data pointers, strides and shapes of the arrays into a block on the caller's stack."""
    builder = c.builder
    block = cgutils.alloca_once(builder, _WORD, size=_WORDS * len(typ.fields))
    dense = _WORD(1)
    for k, (_, _, ndim) in enumerate(typ.fields):
        array = builder.bitcast(c.pyapi.tuple_getitem(obj, k), _WORD.as_pointer())
        first = k * _WORDS
        dense = builder.and_(dense, builder.load(builder.gep(array, [_WORD(_FLAGS)])))
        data = builder.load(builder.gep(array, [_WORD(_DATA)]))
        builder.store(data, builder.gep(block, [_WORD(first)]))
        for offset, member in ((1, _STRIDES), (1 + _MAX_DIMENSIONS, _SHAPE)):
            values = builder.inttoptr(builder.load(builder.gep(array, [_WORD(member)])), _WORD.as_pointer())
            for axis in range(ndim):
                builder.store(
                    builder.load(builder.gep(values, [_WORD(axis)])), builder.gep(block, [_WORD(first + offset + axis)])
                )
    loose = builder.icmp_unsigned("==", dense, _WORD(0))
    with builder.if_then(loose, likely=False):
        c.pyapi.err_set_string("PyExc_ValueError", f"arrays of {typ.label} must be C-contiguous")
    return NativeValue(builder.bitcast(block, _BYTES), is_error=loose)


@infer_getattr
class _SetAttributes(AttributeTemplate):
    key = TableSetType

    def generic_resolve(self, typ: TableSetType, name: str) -> TableType | None:  # type: ignore[override]
        """Type of `state.name`."""
        if name not in typ.places:
            return None
        _, dtype, ndim = typ.fields[typ.places[name]]
        return TableType(dtype, ndim)


def _element_size(context: Any, kind: types.Type) -> int:
    return int(kind.size if isinstance(kind, types.Record) else context.get_abi_sizeof(context.get_data_type(kind)))


@lower_getattr_generic(TableSetType)
def _get_table(context: Any, builder: Any, typ: TableSetType, value: ir.Value, name: str) -> ir.Value:
    place = typ.places[name]
    table = TableType(*typ.fields[place][1:])
    block = builder.bitcast(value, _WORD.as_pointer())
    view = cgutils.create_struct_proxy(table)(context, builder)

    def word(k: int) -> ir.Value:
        loaded = builder.load(builder.gep(block, [_WORD(place * _WORDS + k)]))
        loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
        return loaded

    view.data = builder.inttoptr(word(0), _BYTES)
    for axis in range(table.ndim):
        # elements follow each other without gaps (`_unbox` has looked)
        last = axis == table.ndim - 1
        setattr(view, f"stride{axis}", _WORD(_element_size(context, table.dtype)) if last else word(1 + axis))
        setattr(view, f"shape{axis}", word(1 + _MAX_DIMENSIONS + axis))
    return view._getvalue()


@infer_getattr
class _TableAttributes(AttributeTemplate):
    key = TableType

    def resolve_shape(self, typ: TableType) -> types.Type:
        """Type of `table.shape`."""
        return types.UniTuple(types.intp, typ.ndim)


@lower_getattr(TableType, "shape")
def _get_shape(context: Any, builder: Any, typ: TableType, value: ir.Value) -> ir.Value:
    view = cgutils.create_struct_proxy(typ)(context, builder, value=value)
    return cgutils.pack_array(builder, [getattr(view, f"shape{axis}") for axis in range(typ.ndim)])


def _indices(index: types.Type) -> int | None:
    """How many integers an index type has; None where it is something else."""
    if isinstance(index, types.Integer):
        return 1
    if isinstance(index, types.UniTuple | types.Tuple) and all(isinstance(one, types.Integer) for one in index):
        return len(index)
    return None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: tuple[types.Type, ...], kws: object) -> Any:
        """`table[i, j]`: an element, or a smaller table where indices are missing."""
        if not isinstance(args[0], TableType):
            return None
        given = _indices(args[1])
        if given is None or given > args[0].ndim:
            return None
        left = args[0].ndim - given
        return signature(TableType(args[0].dtype, left) if left else args[0].dtype, *args)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: tuple[types.Type, ...], kws: object) -> Any:
        """`table[i, j] = scalar`."""
        if not isinstance(args[0], TableType) or _indices(args[1]) != args[0].ndim or isinstance(args[0].dtype, types.Record):
            return None
        return signature(types.none, args[0], args[1], args[0].dtype)


def _address(context: Any, builder: Any, sig: Any, args: tuple[ir.Value, ...]) -> tuple[Any, ir.Value, int]:
    """(view, address of the element or of the smaller table, number of indices)."""
    table, index = sig.args[0], sig.args[1]
    view = cgutils.create_struct_proxy(table)(context, builder, value=args[0])
    if isinstance(index, types.UniTuple | types.Tuple):
        parts = cgutils.unpack_tuple(builder, args[1], len(index))
        kinds = list(index)
    else:
        parts, kinds = [args[1]], [index]
    address = view.data
    for axis, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
        number = context.cast(builder, part, kind, types.intp)
        if CHECKED:
            outside = builder.icmp_unsigned(">=", number, getattr(view, f"shape{axis}"))
            with builder.if_then(outside, likely=False):
                context.call_conv.return_user_exc(builder, IndexError, (f"index out of bounds on axis {axis} of {table}",))
        address = builder.gep(address, [builder.mul(number, getattr(view, f"stride{axis}"))], inbounds=True)
    return view, address, len(parts)


@lower_builtin(operator.getitem, TableType, types.Integer)
@lower_builtin(operator.getitem, TableType, types.BaseTuple)
def _getitem(context: Any, builder: Any, sig: Any, args: tuple[ir.Value, ...]) -> ir.Value:
    view, address, given = _address(context, builder, sig, args)
    result = sig.return_type
    if isinstance(result, TableType):
        smaller = cgutils.create_struct_proxy(result)(context, builder)
        smaller.data = address
        for axis in range(result.ndim):
            setattr(smaller, f"stride{axis}", getattr(view, f"stride{axis + given}"))
            setattr(smaller, f"shape{axis}", getattr(view, f"shape{axis + given}"))
        return smaller._getvalue()
    if isinstance(result, types.Record):
        return builder.bitcast(address, context.get_value_type(result))
    pointer = builder.bitcast(address, context.get_data_type(result).as_pointer())
    return _mark(builder, builder.load(pointer), f"Table.{result}")


@lower_builtin(operator.setitem, TableType, types.Integer, types.Any)
@lower_builtin(operator.setitem, TableType, types.BaseTuple, types.Any)
def _setitem(context: Any, builder: Any, sig: Any, args: tuple[ir.Value, ...]) -> ir.Value:
    _, address, _ = _address(context, builder, sig, args)
    dtype = sig.args[0].dtype
    pointer = builder.bitcast(address, context.get_data_type(dtype).as_pointer())
    _mark(builder, builder.store(args[2], pointer), f"Table.{dtype}")
    return context.get_dummy_value()
