"""Bytes between processes: messages and values by pickle, with classes named by a number.

A class that was defined in a notebook cell lives in `__main__`, where no other process finds it,
and pickling it by value with every message would cost a thousand times the message.
So the driver collects the classes that a cluster can speak of, ships them once to each process when
it starts (by cloudpickle), and from then on a message is the number of its class and its fields.
"""

from __future__ import annotations

import copyreg
import dataclasses
import io
import pickle
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any, ClassVar

from clusterlab.core.node import Message, Node, message_classes
from clusterlab.core.packing import Packed
from clusterlab.core.values import Splice

Reduced = tuple[Any, ...]


def is_named_tuple(cls: object) -> bool:
    """Whether `cls` is a class that NamedTuple made."""
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


def _speaks(cls: object) -> bool:
    """Whether values of `cls` can stand in messages and state, and need a name."""
    return is_named_tuple(cls) or (isinstance(cls, type) and issubclass(cls, Message))


def vocabulary(nodes: Iterable[Node]) -> list[type]:
    """The message and NamedTuple classes that these nodes can speak of.

    All that this process has registered, all in the modules that the nodes' methods see
    (a notebook's `__main__` among them), and all in the nodes' own values.
    """
    found: dict[type, None] = {Message: None, Splice: None, Packed: None}
    newest = {cls.__name__: cls for cls in message_classes()}
    found.update(dict.fromkeys(newest.values()))
    for node in nodes:
        for cls in type(node).__mro__:
            for function in vars(cls).values():
                if isinstance(function, FunctionType):
                    found.update(_seen_by(function))
        found.update((cls, None) for cls in _within(node.__dict__))
    return list(found)


def _seen_by(function: FunctionType) -> dict[type, None]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # a name that is not bound yet
            continue
    seen = (*list(function.__globals__.values()), *cells)
    return {value: None for value in seen if _speaks(value)}


def _within(value: Any) -> Iterator[type]:
    """The classes of all values inside `value` that need a name."""
    if _speaks(type(value)):
        yield type(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _within(key)
            yield from _within(inner)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for inner in value:
            yield from _within(inner)
    elif isinstance(value, Message):
        yield from _within(value.__dict__)


def _new(_number: int) -> Any:
    """Stands in a pickle for `Wire` making a Message; never called."""
    raise NotImplementedError


def _tuple(_number: int, _values: tuple[Any, ...]) -> Any:
    """Stands in a pickle for `Wire` making a NamedTuple; never called."""
    raise NotImplementedError


def _late(_cls: bytes) -> Any:
    """Stands in a pickle for `Wire` making something of a class that came later; never called."""
    raise NotImplementedError


class Wire:
    """Writes values as bytes and reads them back; both ends hold the same list of classes."""

    def __init__(self, classes: Iterable[type] = ()) -> None:
        self.classes: list[type] = []
        self.names: dict[str, type] = {}
        self._late: dict[bytes, type] = {}
        self._makers: dict[str, Callable[..., Any]] = {
            "_new": self._make_new,
            "_tuple": self._make_tuple,
            "_late": self._make_late,
        }
        self._table = _Table(self)
        wire = self

        class Unpickler(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if module == __name__:
                    return wire._makers[name]
                return super().find_class(module, name)

        self._unpickler = Unpickler
        self.learn(classes)

    def learn(self, classes: Iterable[type]) -> list[type]:
        """Add classes that are not known yet; returns them."""
        known = set(self.classes)
        new = [cls for cls in dict.fromkeys(classes) if cls not in known]
        for cls in new:
            self._table[cls] = self._reducer(cls, len(self.classes))
            self.classes.append(cls)
            self.names[cls.__name__] = cls
        return new

    def dumps(self, value: Any) -> bytes:
        """`value` as bytes."""
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, 5)
        pickler.dispatch_table = self._table
        pickler.dump(value)
        return buffer.getvalue()

    def loads(self, data: bytes) -> Any:
        """What `dumps` wrote."""
        return self._unpickler(io.BytesIO(data)).load()

    def _reducer(self, cls: type, number: int) -> Callable[[Any], Reduced]:
        key = (number,)
        if issubclass(cls, tuple):
            return lambda value: (_tuple, (number, tuple(value)))
        return lambda value: (_new, key, value.__dict__)

    def foreign(self, cls: type) -> Callable[[Any], Reduced]:
        """How to write a value whose class is not in the list.

        A class of the same name and fields is in the list when a notebook cell was run again:
        that one is meant. Anything else travels with its class.
        """
        known = self.names.get(cls.__name__)
        if known is not None and _field_names(known) == _field_names(cls):
            return self._reducer(known, self.classes.index(known))
        shipped = dumps_by_value(cls)
        if issubclass(cls, tuple):
            return lambda value: (_late, (shipped, tuple(value)))
        return lambda value: (_late, (shipped,), value.__dict__)

    def _make_new(self, number: int) -> Any:
        return object.__new__(self.classes[number])

    def _make_tuple(self, number: int, values: tuple[Any, ...]) -> Any:
        return tuple.__new__(self.classes[number], values)

    def _make_late(self, shipped: bytes, values: tuple[Any, ...] | None = None) -> Any:
        cls = self._late.get(shipped)
        if cls is None:
            cls = self._late[shipped] = pickle.loads(shipped)  # noqa: S301 - our own process wrote it
        return object.__new__(cls) if values is None else tuple.__new__(cls, values)


class _Table(dict[type, Callable[[Any], Reduced]]):
    """The pickler's table of reducers; asks the wire about classes that it does not hold."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def __missing__(self, cls: type) -> Callable[[Any], Reduced]:
        if not _speaks(cls):
            found: Any = copyreg.dispatch_table[cls]  # KeyError: as pickle does
            return found  # type: ignore[no-any-return]
        reducer = self[cls] = self._wire.foreign(cls)
        return reducer


def _field_names(cls: type) -> tuple[str, ...]:
    if issubclass(cls, tuple):
        return tuple(getattr(cls, "_fields", ()))
    return tuple(f.name for f in dataclasses.fields(cls))  # type: ignore[arg-type]


def dumps_by_value(value: Any) -> bytes:
    """`value` as bytes that any process can read: classes of a notebook travel whole."""
    from ray.cloudpickle import CloudPickler  # noqa: PLC0415 - Ray loads when it is first needed

    class Pickler(CloudPickler):
        # dataclasses knows these by identity, so a copy would not do.
        dispatch_table: ClassVar[Any] = ChainMap(  # type: ignore[misc]
            {
                type(dataclasses.MISSING): _sentinel("MISSING"),
                type(getattr(dataclasses, "_HAS_DEFAULT_FACTORY")):  # noqa: B009 - no public name
                _sentinel("_HAS_DEFAULT_FACTORY"),
            },
            CloudPickler.dispatch_table,
        )

    buffer = io.BytesIO()
    pickler: Any = Pickler
    pickler(buffer).dump(value)
    return buffer.getvalue()


def _sentinel(name: str) -> Callable[[Any], Reduced]:
    return lambda _: (getattr, (dataclasses, name))


def names_for(nodes: Iterable[Node], classes: Iterable[type]) -> Mapping[str, type]:
    """The class of each name, to read a disk: where two have one name, the one the nodes see."""
    names = {cls.__name__: cls for cls in classes}
    for node in nodes:
        for cls in reversed(type(node).__mro__):
            for function in vars(cls).values():
                if isinstance(function, FunctionType):
                    names.update((seen.__name__, seen) for seen in _seen_by(function))
    return names
