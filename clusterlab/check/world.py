"""What a property sees: the cluster at one moment, to look at and not to touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from clusterlab.core.errors import ScenarioError
from clusterlab.core.node import Message, Node, NodeId


class Envelope(NamedTuple):
    """A message on its way."""

    src: NodeId
    dst: NodeId
    msg: Message

    def __str__(self) -> str:
        """`n1 -> n2 RequestVote(term=1)`."""
        return f"{self.src} -> {self.dst} {self.msg!r}"


class NodeView:
    """A node that can be read and not changed: its fields, its configuration, its methods.

    With `reads`, only those names and the configuration: what a property has not named cannot
    tell two states apart for it, so reading it would give answers that belong to another state.
    """

    __slots__ = ("_node", "_reads", "_whose")

    def __init__(self, node: Node, reads: frozenset[str] | None = None, whose: str = "") -> None:
        object.__setattr__(self, "_node", node)
        object.__setattr__(self, "_reads", reads)
        object.__setattr__(self, "_whose", whose)

    def __getattr__(self, name: str) -> Any:
        node, reads = self._node, self._reads
        value = getattr(node, name)  # AttributeError first, so that hasattr() works
        if reads is None or name in reads or name in node._config:
            return value
        raise ScenarioError(
            f"{self._whose} reads {name} of {node.id}, but says that it reads only "
            f"{', '.join(sorted(reads))}: add {name!r} to its `reads`, or leave `reads` out."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise ScenarioError(
            f"a property assigns {name} of {self._node.id}: it may only look; copy what it changes."
        )

    def __repr__(self) -> str:
        return repr(self._node)


class NoteTaker(NodeView):
    """A view that writes down what is read, so that an explanation can show those values."""

    __slots__ = ("_taken",)

    def __init__(self, node: Node, taken: dict[tuple[NodeId, str], Any]) -> None:
        super().__init__(node)
        object.__setattr__(self, "_taken", taken)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if name not in self._node._config and not callable(value):
            self._taken[self._node.id, name] = value
        return value


class World(Mapping[NodeId, NodeView]):
    """The cluster at one moment: `world["n1"].current_term`, `world.nodes`, `world.up`.

    A dead node shows what its disk holds; its volatile fields have their initial values.
    """

    __slots__ = ("_letters", "_views", "ghost", "looked_at_messages", "up")

    def __init__(
        self,
        views: Mapping[NodeId, NodeView],
        up: frozenset[NodeId],
        letters: Callable[[], tuple[Envelope, ...]],
        ghost: Any = None,
    ) -> None:
        self._views = views
        self.up = up
        """The ids of the nodes that are alive."""
        self.ghost = ghost
        """What the property's ghost has gathered from notes, on the way to this moment."""
        self._letters = letters
        self.looked_at_messages = False

    @property
    def messages(self) -> tuple[Envelope, ...]:
        """The messages that may still arrive, each with `src`, `dst` and `msg`."""
        self.looked_at_messages = True
        return self._letters()

    @property
    def nodes(self) -> tuple[NodeView, ...]:
        """All nodes, in the order in which they were given."""
        return tuple(self._views.values())

    def having(self, *names: str) -> tuple[NodeView, ...]:
        """The nodes that have all these fields: `world.having("promised")` are acceptors."""
        return tuple(view for view in self.nodes if all(hasattr(view, name) for name in names))

    def __getitem__(self, node: NodeId) -> NodeView:
        try:
            return self._views[node]
        except KeyError:
            raise ScenarioError(
                f"there is no node {node!r} in this world; there are {', '.join(self._views)}."
            ) from None

    def __iter__(self) -> Iterator[NodeId]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


def world_of(nodes: Mapping[NodeId, Node], up: frozenset[NodeId] | None = None) -> World:
    """The world of some nodes with an empty network, to try a property on.

    >>> class Lamp(Node):
    ...     on: bool = False
    >>> world_of({"a": Lamp("a", on=True)})["a"].on
    True
    """
    views = {name: NodeView(node) for name, node in nodes.items()}
    return World(views, frozenset(nodes) if up is None else up, tuple)
