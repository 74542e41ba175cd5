r"""A reader for as much of EDN as histories are written in (github.com/edn-format/edn).

| EDN | Python |
|---|---|
| `nil`, `true`, `false` | None, True, False |
| numbers (also `3N`, `1.5M`), strings | int, float, str |
| `:keyword`, `symbol`, `\c` | Keyword, Symbol, str |
| `(list)`, `[vector]` | tuple |
| `{map}`, `#{set}` | dict, frozenset |
| `#tag value`, such as `#jepsen.history.Op{...}` | the value; the tag is dropped |

`;` begins a comment, `#_` leaves the next form out, commas are blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clusterlab.core.errors import TraceError

_TOKEN = re.compile(
    r"""[\s,]+ | ;[^\n]*
    | (?P<open>\#\{ | [\[({]) | (?P<close>[\])}])
    | "(?P<string>(?:[^"\\]|\\.)*)"
    | (?P<discard>\#_)
    | \#(?P<tag>[A-Za-z][^\s,;()\[\]{}"]*)
    | \\(?P<char>newline|return|space|tab|u[0-9A-Fa-f]{4}|.)
    | (?P<atom>[^\s,;()\[\]{}"\\\#][^\s,;()\[\]{}"]*)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?\d+N?")
_FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_CHARS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t"}
_CONSTANTS = {"nil": None, "true": True, "false": False}
_PAIRS = {"(": ")", "[": "]", "{": "}", "#{": "}"}
_END = object()


class Keyword(str):
    """`:invoke`, without its colon."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f":{self}"


class Symbol(str):
    """A bare word."""

    __slots__ = ()


def read_edn(text: str, name: str = "the text") -> Iterator[Any]:
    """Every form of `text`, one after another.

    Raises TraceError, with the line, where the text is cut off or is not EDN.

    >>> list(read_edn("{:type :ok, :value [1 nil]} ; done"))
    [{:type: :ok, :value: (1, None)}]
    """
    return _Reader(text, name).forms()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._at = 0

    def forms(self) -> Iterator[Any]:
        """Up to the end of the text."""
        try:
            while (form := self._form(None)) is not _END:
                yield form
        except RecursionError:
            raise self._wrong("it is nested too deep") from None

    def _wrong(self, why: str) -> TraceError:
        line = self._text.count("\n", 0, self._at) + 1
        return TraceError(
            f"line {line} of {self._name} cannot be read as EDN, since {why}: "
            "the file is cut off or is something else; record it again."
        )

    def _form(self, closing: str | None) -> Any:
        """The next form; _END before `closing`, or at the end of the text if that is None."""
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise self._wrong(f"{self._text[self._at : self._at + 20]!r} is no form")
            kind = found.lastgroup
            if kind == "close":
                if found[kind] != closing:
                    raise self._wrong(f"there is a {found[kind]} that closes nothing")
                self._at = found.end()
                return _END
            if kind is None:
                self._at = found.end()
                continue
            if kind == "discard":
                self._at = found.end()
                self._needed(closing)
                continue
            return self._value(kind, found, closing)
        if closing is not None:
            raise self._wrong(f"it ends before a {closing}")
        return _END

    def _value(self, kind: str, found: re.Match[str], closing: str | None) -> Any:
        token = found[kind]
        self._at = found.end()
        if kind == "open":
            return self._collection(token)
        if kind == "tag":
            return self._needed(closing)
        if kind == "string":
            return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", _unescaped, token, flags=re.DOTALL)
        if kind == "char":
            if token in _CHARS or len(token) == 1:
                return _CHARS.get(token, token)
            return chr(int(token[1:], 16))
        return self._atom(token)

    def _needed(self, closing: str | None) -> Any:
        form = self._form(closing)
        if form is _END:
            raise self._wrong("a form is missing after a #")
        return form

    def _collection(self, opening: str) -> Any:
        items = []
        while (item := self._form(_PAIRS[opening])) is not _END:
            items.append(item)
        try:
            if opening == "#{":
                return frozenset(items)
            if opening == "{":
                if len(items) % 2:
                    raise self._wrong("a map has a key without a value")
                return dict(zip(items[::2], items[1::2], strict=True))
        except TypeError:
            raise self._wrong("a map is a key or in a set") from None
        return tuple(items)

    def _atom(self, token: str) -> Any:
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token.startswith(":"):
            return Keyword(token[1:])
        if _NUMBER.fullmatch(token):
            return int(token.removesuffix("N"))
        if _FLOAT.fullmatch(token):
            return float(token.removesuffix("M"))
        if token[0].isdigit():
            raise self._wrong(f"{token} is no number")
        return Symbol(token)


def _unescaped(found: re.Match[str]) -> str:
    escaped = found[1]
    return chr(int(escaped[1:], 16)) if len(escaped) == 5 else _ESCAPES.get(escaped, escaped)
