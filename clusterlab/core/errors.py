"""Everything that clusterlab raises on purpose, in one tree.

```
ClusterlabError
├── NodeError                 your node is wrong
│   ├── DeclarationError      a class that cannot be a node or message (raised when it is made)
│   ├── UndeclaredField       a handler assigns or reads a field that its class does not have
│   ├── UnhandledMessage      a message or timer arrived for which there is no handler
│   ├── BadValue              a value that cannot be state, a message or a delay
│   └── HandlerRaised         a handler raised an exception of its own
└── ScenarioError             your run is wrong
    ├── UnknownNode           a verb names a node that does not exist
    ├── BadFault              a fault that cannot be, such as a probability of 2
    ├── OperationFailed       a client's operation certainly had no effect
    ├── OperationUnknown      a client's operation was not answered: it may have happened
    ├── LimitReached          a run stopped at its limit before its condition held
    ├── EngineUnavailable     the engine cannot start here: no Ray, too little memory, ...
    └── TraceError            a file or a record that is not a readable trace
```

Every message is a sentence that ends in the mend.
In a notebook only that sentence is shown,
because a page of traceback through the engine teaches nothing;
`raise` and `__cause__` keep the whole of it for who wants it.
"""

# ruff: noqa: N818 - `raise LimitReached` says what happened; the tree above says that it is an error

from __future__ import annotations


class ClusterlabError(Exception):
    """The root of the tree; its text is a sentence with the mend in it."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class NodeError(ClusterlabError):
    """Your node is wrong."""


class DeclarationError(NodeError):
    """A class that cannot be a node or a message; raised when the class is made."""


class UndeclaredField(NodeError):
    """A handler assigns or reads a field that its class does not declare."""


class UnhandledMessage(NodeError):
    """A message or a timer reached a node that has no handler for it."""


class BadValue(NodeError):
    """A value that cannot be state, a message or a delay."""


class HandlerRaised(NodeError):
    """A handler raised an exception of its own, kept as `__cause__`."""


class ScenarioError(ClusterlabError):
    """Your run is wrong."""


class UnknownNode(ScenarioError):
    """A verb names a node that the cluster does not have."""


class BadFault(ScenarioError):
    """A fault that cannot be, such as a partition that forgets a node."""


class OperationFailed(ScenarioError):
    """A client's operation certainly had no effect."""


class OperationUnknown(ScenarioError):
    """A client's operation was not answered: it may or may not have happened."""


class LimitReached(ScenarioError):
    """A run stopped at its limit before its condition held."""


class EngineUnavailable(ScenarioError):
    """The engine cannot start on this machine as it is."""


class TraceError(ScenarioError):
    """A file or a record that is not a readable trace."""
