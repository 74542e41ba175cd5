"""The contract between a protocol and the engines that run it.

A protocol is a `Node` class: declared fields, and a handler for each message and timer.
A simulator, a model checker and a cluster of real processes run that class unchanged.

Rules
-----
1. A handler runs to completion, touches only `self`, assigns declared fields
   and calls the output methods (`send`, `broadcast`, `set_timer`, `cancel_timer`, `note`).
   Assigning an undeclared field is an error that says which line to add.
2. State is ints, strings, tuples, NamedTuples, Messages, and dicts, lists and sets of those;
   what stands inside a tuple, a NamedTuple or a Message is hashable.
3. Nothing depends on the order of a set, on a clock (but `now_ms`), on chance (but `choose`)
   or on globals.
4. Effects are performed in order, `Save` first. A crash performs a prefix of them:
   that is the whole crash model.
5. A timer whose minimum exceeds another's maximum, set later, cannot overtake it;
   otherwise an engine may fire any pending timer.
6. A message that nobody handles is an error, and so is a handler for a message that does not exist.
   An exception in a handler is a violation with a path that leads to it, not a log line.

Handlers look mutable because that is how the papers read;
`step` around them is pure,
so one class can be simulated, checked, deployed, replayed, hashed and compared.
Handlers are found by the NAME of the message's class, never by `isinstance`:
when a notebook cell is run again, messages of the old class still find the new handler.

The parts of the contract have a file each: messages and timers in `message.py`,
what goes into a step and comes out in `effects.py`, the fields of a class in `fields.py`.
"""

from __future__ import annotations

import dataclasses
import difflib
import traceback
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from clusterlab.core.effects import (
    CancelTimer,
    Delay,
    Deliver,
    Effect,
    Env,
    Event,
    Fire,
    Note,
    Save,
    Send,
    SetTimer,
    Start,
)
from clusterlab.core.errors import (
    BadValue,
    HandlerRaised,
    NodeError,
    UndeclaredField,
    UnhandledMessage,
)
from clusterlab.core.fields import Declared, durable, volatile
from clusterlab.core.message import WORLD, Message, NodeId, Timer, message_classes, snake_case
from clusterlab.core.values import MUTABLE, apply_change, change, copy_value, freeze

__all__ = [
    "WORLD",
    "CancelTimer",
    "Delay",
    "Deliver",
    "Effect",
    "Env",
    "Event",
    "Fire",
    "Message",
    "Node",
    "NodeId",
    "Note",
    "Save",
    "Send",
    "SetTimer",
    "Start",
    "Step",
    "Timer",
    "durable",
    "message_classes",
    "restart",
    "run_in_place",
    "snake_case",
    "step",
    "volatile",
    "write",
]

T = TypeVar("T")

_effect = tuple.__new__  # a NamedTuple from a tuple: messages are many, keyword constructors slow


class Node(Declared):
    """One member of a cluster: fields, handlers, and nothing else.

    Plain annotated fields are configuration: constructor arguments that never change.
    `durable(...)` and `volatile(...)` fields are state.

    >>> class Ping(Message):
    ...     number: int
    >>> class Echo(Node):
    ...     seen: int = durable(0)
    ...
    ...     def on_ping(self, src, m):
    ...         self.seen += 1
    ...         self.send(src, Ping(m.number + 1))
    >>> after, effects = step(Echo("n1"), Deliver("n2", Ping(1)))
    >>> after.seen, effects
    (1, (Save(values={'seen': 1}), Send(dst='n2', msg=Ping(number=2))))
    """

    id: NodeId = dataclasses.field(kw_only=False)

    _env: ClassVar[Env | None] = None
    _outbox: ClassVar[list[Effect] | None] = None

    # --- handlers, for subclasses ---

    def on_start(self) -> None:
        """Called at time 0 and after every restart."""

    def on_message(self, src: NodeId, m: Message) -> None:
        """Hands a message to the handler with its name; override it to see every message first."""
        self._handler(type(m).__name__, m, src)(self, src, m)

    def on_timer(self, t: Timer) -> None:
        """Hands a timer to the handler with its name."""
        self._handler(type(t).__name__, t, None)(self, t)

    def status(self) -> Mapping[str, Any]:
        """What a picture of this node shows; override it, and read fields only.

        Keys that the views know: `role` (colour and shape; "leader" wears the crown),
        `epoch` (an int: the term, ballot round or view that it is in),
        `label` (a few words under the node).
        """
        return {}

    def marks(self) -> Mapping[str, Mapping[str, int]]:
        """How far each of its logs has come, for a picture: `{"log": {"committed": 7}}`.

        A number counts entries from the first that there ever was; the words are yours, but for
        `start`: so many entries before the first of the field are no longer there.
        Override it, and read fields only.
        """
        return {}

    def in_words(self, name: str, before: Self) -> str | None:  # noqa: ARG002 - for subclasses
        """How a story tells what a step did to the field `name`: "votes for n1 in term 2".

        Called for every field on the node as it is afterwards; override it, and read fields only.
        "": nothing worth a word; None: the story shows the values, if they have changed.
        """
        return None

    # --- output, for handlers ---

    def send(self, dst: NodeId, m: Message) -> None:
        """Send `m` to node `dst` (or to WORLD); it may be lost, late, or arrive twice."""
        if not isinstance(m, Message):
            raise BadValue(
                f"{self} sends {m!r} to {dst}, which is not a message: "
                f"write `class {type(m).__name__.title()}(Message):` with its fields, "
                "and send one of those."
            )
        try:
            hash(m)
        except TypeError as error:
            raise BadValue(
                f"{self} sends {m!r} to {dst}, but a message's fields must be hashable ({error}): "
                "use a tuple instead of a list, and tuple(sorted(...)) of a set or a dict's items."
            ) from None
        outbox = self._outbox
        if outbox is None:
            self._out(Send(dst, m))
        else:
            outbox.append(_effect(Send, (dst, m)))

    def broadcast(self, m: Message, to: Iterable[NodeId]) -> None:
        """Send `m` to each of `to`, in order (a set is sorted first)."""
        for dst in sorted(to) if isinstance(to, (set, frozenset)) else to:
            self.send(dst, m)

    def set_timer(self, t: Timer, after_ms: Delay) -> None:
        """Fire `t` after `after_ms` or a time from that range; an equal pending timer is reset."""
        low, high = after_ms if isinstance(after_ms, tuple) else (after_ms, after_ms)
        if not isinstance(t, Timer):
            raise BadValue(
                f"{self} sets a timer with {t!r}: write `class {type(t).__name__}(Timer)` "
                "and set one of those."
            )
        if not 0 <= low <= high:
            raise BadValue(
                f"{self} sets {t!r} for {after_ms} ms: "
                "give a number of at least 0, or a range (low, high)."
            )
        self._out(SetTimer(t, after_ms))

    def cancel_timer(self, t: Timer) -> None:
        """Forget a pending timer; no harm if there is none."""
        self._out(CancelTimer(t))

    def note(self, name: str, data: Any = None) -> None:
        """Put something worth seeing into the trace."""
        self._out(Note(name, data))

    def choose(self, options: Sequence[T]) -> T:
        """One of `options`: drawn by the simulator, each in turn by the checker."""
        if isinstance(options, (set, frozenset, dict)) or not options:
            raise BadValue(
                f"{self} chooses from {options!r}: give a list or tuple with at least one option "
                "(a set has no order; sort it first)."
            )
        return self._now().choose(options)

    @property
    def now_ms(self) -> int:
        """This node's own clock in ms, which faults may skew; readable inside a handler."""
        return self._now().now_ms

    # --- for the engines ---

    def state(self) -> dict[str, Any]:
        """The declared durable and volatile fields, copied."""
        return {name: copy_value(self.__dict__[name]) for name in self._durable + self._volatile}

    def saved(self) -> dict[str, Any]:
        """The durable fields, copied: what the disk holds."""
        return {name: copy_value(self.__dict__[name]) for name in self._durable}

    def frozen_key(self) -> Hashable:
        """The canonical key of this node's state; see `freeze`."""
        fields = self._durable + self._volatile
        return (type(self).__name__, self.id, *(freeze(self.__dict__[name]) for name in fields))

    def copy(self) -> Self:
        """A copy that shares nothing mutable with this node."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        for name in self._durable + self._volatile:
            value = self.__dict__[name]
            if type(value) in MUTABLE:
                new.__dict__[name] = copy_value(value)
        return new

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: self.__dict__[name] for name in self._config}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._assignable:
            object.__setattr__(self, name, value)
        elif name in self._config:
            if name in self.__dict__:
                raise UndeclaredField(
                    f"{self} assigns {name}, which is configuration and never changes: to make it "
                    f"state, declare it `{name}: ... = durable(...)` (on disk) "
                    "or `= volatile(...)` (in memory)."
                )
            object.__setattr__(self, name, value)
        else:
            raise UndeclaredField(self._undeclared(name, "assigns", type(value).__name__))

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.__dict__.get('id', '?')}"

    def _out(self, effect: Effect) -> None:
        if self._outbox is None:
            raise BadValue(
                f"{self} was asked for an effect outside a handler: "
                "only handlers send, set timers and note; give the node to a cluster and run that."
            )
        self._outbox.append(effect)

    def _now(self) -> Env:
        if self._env is None:
            raise BadValue(
                f"{self} has a clock and choices only inside a handler: read them there."
            )
        return self._env

    def _handler(self, kind: str, m: Message, src: NodeId | None) -> Callable[..., None]:
        handler = self._handlers.get(kind)
        if handler is None:
            name = "on_" + snake_case(kind)
            handler = getattr(type(self), name, None)
            if handler is None:
                whence = f"got {m!r} from {src}" if src is not None else f"set {m!r}"
                takes = "self, src, m" if src is not None else "self, t"
                raise UnhandledMessage(
                    f"{self} {whence} but has no {name}: add `def {name}({takes}): ...` "
                    f"to {type(self).__name__}" + (", or send it to someone else." if src else ".")
                )
            self._handlers[kind] = handler
        return handler

    def _undeclared(self, name: str, does: str, kind: str) -> str:
        # What is assigned can only be a field; what is read may be a method, misspelt.
        known = set(self._assignable)
        if does == "reads":
            known.update(dir(type(self)), self._config)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Or did you mean `{near[0]}`?" if near else ""
        kind = "str | None" if kind == "NoneType" else kind
        return (
            f"{type(self).__name__} {does} self.{name}, but declares no such field: add the line "
            f"`{name}: {kind} = durable(...)` to the class if it must survive a crash, "
            f"or `{name}: {kind} = volatile(...)` if not.{hint}"
        )


class Step(NamedTuple):
    """What a step makes: the node afterwards, and the effects to perform, in order."""

    node: Node
    effects: tuple[Effect, ...]


def step(node: Node, event: Event, env: Env | None = None) -> Step:
    """Run one event through a copy of `node`: the single way in which an engine runs a node.

    Raises NodeError if the node is wrong: no handler, an undeclared field, an exception of its own.
    """
    after = node.copy()
    return Step(after, tuple(run_in_place(after, event, env or Env())))


def run_in_place(node: Node, event: Event, env: Env) -> list[Effect]:
    """`step` for an engine that owns its node: the node itself changes.

    After an error the node is half changed: throw it away.
    """
    own = node.__dict__
    before = [(name, own[name], _copied(own[name])) for name in node._durable]
    outbox: list[Effect] = []
    own["_outbox"] = outbox
    own["_env"] = env
    try:
        kind = type(event)
        if kind is Deliver:
            node.on_message(event.src, event.msg)  # type: ignore[union-attr]
        elif kind is Fire:
            node.on_timer(event.timer)  # type: ignore[union-attr]
        else:
            node.on_start()
    except NodeError:
        raise
    except Exception as error:
        raise _explain(node, event, error) from error
    finally:
        own["_outbox"] = own["_env"] = None
    changed: dict[str, Any] = {}
    for name, old, copied in before:
        new = own[name]
        if copied is not None:
            if new != copied or type(new) is not type(copied):
                changed[name] = copy_value(new)
        elif new is old:
            continue
        elif type(old) is tuple and type(new) is tuple:
            splice = change(old, new)  # compares once: logs are long
            if splice.items or splice.keep < len(old):
                changed[name] = splice
        elif new != old or type(new) is not type(old):
            changed[name] = change(old, new)
    if changed:
        outbox.insert(0, Save(changed))
    return outbox


def _copied(value: Any) -> Any:
    """A copy of what a handler could change in place, None for all else."""
    return copy_value(value) if type(value) in MUTABLE else None


def _explain(node: Node, event: Event, error: Exception) -> NodeError:
    """A learner's exception as a sentence with the handler, the line and the mend."""
    if isinstance(error, AttributeError) and error.obj is node and error.name:
        return UndeclaredField(node._undeclared(error.name, "reads", "..."))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.endswith(("core/node.py", "core\\node.py"))
    ]
    where = ""
    if frames:
        line = f": `{frames[-1].line}`" if frames[-1].line else ""
        where = f" in {frames[-1].name}, line {frames[-1].lineno}{line}"
    match event:
        case Deliver(src=src, msg=msg):
            what = f"handling {msg!r} from {src}"
        case Fire(timer=timer):
            what = f"handling {timer!r}"
        case _:
            what = "starting"
    return HandlerRaised(
        f"{node} raised {type(error).__name__} ({error}) while {what}{where}. "
        "Mend the handler; a real node would have died here."
    )


def restart(node: Node, saved: Mapping[str, Any] | None = None) -> Node:
    """The node after a crash: durable fields as the disk holds them, volatile ones reborn.

    `saved` is what the disk holds (field -> value); without it, the node's own durable fields.
    """
    new = type(node)(**node.configuration())
    for name, value in (node.saved() if saved is None else saved).items():
        new.__dict__[name] = copy_value(value)
    return new


def write(disk: dict[str, Any], save: Save) -> None:
    """Perform a Save on a disk that is a dict."""
    for name, value in save.values.items():
        disk[name] = apply_change(disk.get(name), value)
