"""Runs written down, one event a line, to be read, changed and played again.

The language is that of a cluster taken by hand; lines that begin with `#` are remarks:

    nodes n1 n2 n3                who takes part
    deliver n1 n2 RequestVote     the oldest RequestVote on its way from n1 to n2 arrives
    deliver n1 n2 RequestVote 2   ... the second oldest
    copy n1 n2 RequestVote        likewise, and it may arrive again
    fire n1 ElectionTimeout       that timer fires; with its fields if it has any: Retry(number=2)
    invoke c1 Put('x', 1)         a user asks for this
    kill n1                       n1 dies; `kill n1 2`: within its next step, after two effects
    restart n1                    n1 comes back with its disk; `restart n1 lose`: with an empty one
    choose 2 1                    the next step takes the second option, then the first
    clock 1500                    from now on the clocks show this

Whatever is not told does not happen: no timer fires and no message arrives by itself. The nodes are
not in the file: a scenario is played with any that have these names, such as a mended class.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterlab.check.moves import Move
from clusterlab.check.properties import Property
from clusterlab.core.errors import NodeError, ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.core.node import Message, Node, NodeId, message_classes
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz_watch import Violation
from clusterlab.experiments.rehearsal import Rehearsal, guarded, retold
from clusterlab.experiments.steps import Letter, Step

INPUTS = ("deliver", "fire", "invoke", "kill", "restart")
"""The moves that a scenario tells; a message that is lost is one that never arrives."""

_CODE = re.compile(r"""(?:'[^']*'|"[^"]*"|[^#'"])*""")
"""A line up to its remark; a text may hold a #."""


@dataclass
class Scenario:
    """What came of a scenario that was played."""

    steps: tuple[Step, ...]
    violation: Violation | None
    """What broke first, if anything did."""
    trace: Trace = field(repr=False)
    """The run as the record that an engine writes; views open it, and it replays."""

    @property
    def path(self) -> tuple[Move, ...]:
        """The run, event by event."""
        return tuple(step.move for step in self.steps)


def play_scenario(
    text: str | Path, nodes: Iterable[Node], properties: Property | Sequence[Property] = ()
) -> Scenario:
    """Play a scenario: a Path is read first.

    Parameters
    ----------
    nodes:
        Those that the scenario names; others are left out.
    properties:
        Asked after each step; the first that does not hold ends the scenario.

    Raises ScenarioError, with the line, for what cannot happen.
    """
    name = "the scenario"
    if isinstance(text, Path):
        name = text.name
        try:
            text = text.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"cannot read {name}: {error}; name a scenario file.") from error
    properties = (properties,) if isinstance(properties, Property) else tuple(properties)
    player = _Player(name, list(nodes))
    lines = [(at, _words(line)) for at, line in enumerate(text.splitlines(), 1)]
    lines = [(at, words) for at, words in lines if words]
    sim = player.begin(*lines[0]) if lines else player.begin(1, [])

    def play() -> None:
        for at, words in lines[1:]:
            player.obey(at, words)

    violation = guarded(sim, properties, play)
    steps = tuple(sim.done)
    trace = retold(player.nodes, steps, clock=sim.env.looked)
    return Scenario(steps, violation, trace)


def _words(line: str) -> list[str]:
    """What a line says, without its remark; what is handed to a node is one word."""
    found = _CODE.match(line)
    words = found[0].split() if found is not None else []
    return found[0].split(maxsplit=2) if found is not None and words[:1] == ["invoke"] else words


class _Player:
    """Obeys one line after another."""

    def __init__(self, name: str, nodes: Sequence[Node]) -> None:
        self.name = name
        self.nodes = nodes
        self.number = 0
        self.choices: tuple[int, ...] = ()
        self.clock_ms = 0
        self.dying: dict[NodeId, int] = {}

    def begin(self, at: int, words: Sequence[str]) -> Rehearsal:
        """The first line names the nodes."""
        if words[:1] != ["nodes"] or len(words) < 2:
            raise self._wrong(at, "it begins with `nodes` and their names, such as `nodes n1 n2`")
        given = {node.id: node for node in self.nodes}
        for name in words[1:]:
            check_name(name, given)
        self.nodes = [given[name] for name in words[1:]]
        self.sim = Rehearsal(self.nodes)
        return self.sim

    def obey(self, at: int, words: Sequence[str]) -> None:
        """One line."""
        verb, *rest = words
        try:
            move = self._move(verb, rest)
        except (ValueError, IndexError, SyntaxError) as error:
            raise self._wrong(at, f"`{' '.join(words)}` cannot be understood ({error})") from None
        if move is None:
            return
        letter = None
        if move.kind == "deliver":
            letter = self._letter(at, rest)
            move = move._replace(msg=self.sim.flying[letter][1])
        move = move._replace(choices=self.choices, effects=self.dying.pop(move.node, None))
        self.number += 1
        if not self.sim.do(Step(self.number, move, letter, self.clock_ms)):
            raise self._wrong(at, f"`{' '.join(words)}` cannot happen now: {self._now(move.node)}")
        self.choices = ()

    def _move(self, verb: str, rest: Sequence[str]) -> Move | None:
        """The move that a line asks for; None if it only prepares one."""
        if verb == "choose":
            self.choices = tuple(int(word) - 1 for word in rest)
            return None
        if verb == "clock":
            self.clock_ms = int(rest[0])
            return None
        check_name(rest[0], self.sim.servers)
        node = rest[0]
        match verb:
            case "kill" if len(rest) > 1:
                self.dying[node] = int(rest[1])
                return None
            case "kill":
                return Move("kill", node)
            case "restart":
                if rest[1:] not in ([], ["lose"]):
                    raise ValueError(f"write `restart {node}` or `restart {node} lose`")
                return Move("restart", node, disk="lose" if rest[1:] else "keep")
            case "fire":
                return Move("fire", node, msg=self._timer(node, " ".join(rest[1:])))
            case "invoke":
                return Move("invoke", node, msg=read_message(" ".join(rest[1:])))
            case "deliver" | "copy":
                check_name(rest[1], self.sim.servers)
                return Move("deliver", rest[1], node, copy=verb == "copy")
        raise ValueError(
            "there are nodes, deliver, copy, fire, invoke, kill, restart, choose, clock"
        )

    def _timer(self, node: NodeId, text: str) -> Message:
        pending = self.sim.timers_of(node)
        wanted = text if "(" in text else f"{text}("
        found = next((timer for timer in pending if repr(timer).startswith(wanted)), None)
        if found is None:
            names = ", ".join(map(repr, pending)) or "none"
            raise ValueError(f"{node} waits for {names}")
        return found

    def _letter(self, at: int, rest: Sequence[str]) -> Letter:
        src, dst, kind = rest[0], rest[1], rest[2] if len(rest) > 2 else None
        place = int(rest[3]) if len(rest) > 3 else 1
        found = self.sim.on_the_way(src, dst, kind)
        if not 0 < place <= len(found):
            raise self._wrong(
                at, f"there are {len(found)} such messages on their way from {src} to {dst}"
            )
        return found[place - 1]

    def _now(self, node: NodeId) -> str:
        return f"{node} is {self.sim.health(node)}"

    def _wrong(self, at: int, why: str) -> ScenarioError:
        return ScenarioError(f"line {at} of {self.name}: {why}; mend the line, or leave it out.")


def scenario_text(
    nodes: Sequence[Node],
    moves: Iterable[Move],
    *,
    clocks: Sequence[int] = (),
    remarks: Iterable[str] = (),
) -> str:
    """A run as a scenario; `clocks` is what the nodes' clocks showed at each move, if they looked.

    Raises ScenarioError if these moves are no run of these nodes.
    """
    lines = [f"# {remark}".rstrip() for remark in remarks]
    lines += ["", f"nodes {' '.join(node.id for node in nodes)}"]
    sim = Rehearsal(nodes)
    now = 0
    moves = list(moves)
    for at, move in enumerate(moves):
        if move.kind not in INPUTS:
            continue
        before, now = now, clocks[at] if clocks else now
        if now != before:
            lines.append(f"clock {now}")
        lines += _lines(sim, move)
        letter = _letter(sim, move) if move.kind == "deliver" else None
        done = False
        with suppress(NodeError):  # what a node dies of may be the point of the run
            done = True
            done = sim.do(Step(at, move, letter, now))
        if not done:
            raise ScenarioError(f"{move} cannot happen there: give the nodes of that run.")
    return "\n".join(lines).strip() + "\n"


def _lines(sim: Rehearsal, move: Move) -> Iterator[str]:
    """The lines that make this move."""
    if any(move.choices):
        yield f"choose {' '.join(str(option + 1) for option in move.choices)}"
    if move.effects is not None:
        yield f"kill {move.node} {move.effects}"
    match move.kind:
        case "deliver":
            verb = "copy" if move.copy else "deliver"
            kind = type(move.msg).__name__
            place = sim.on_the_way(move.src, move.node, kind).index(_letter(sim, move)) + 1
            yield f"{verb} {move.src} {move.node} {kind}" + (f" {place}" if place > 1 else "")
        case "fire":
            yield f"fire {move.node} {repr(move.msg).removesuffix('()')}"
        case "invoke":
            yield f"invoke {move.node} {move.msg!r}"
        case "restart":
            yield f"restart {move.node}" + (" lose" if move.disk == "lose" else "")
        case _:
            yield f"kill {move.node}"


def _letter(sim: Rehearsal, move: Move) -> Letter:
    """The oldest message of those that a move may mean."""
    kind = type(move.msg).__name__
    for letter in sim.on_the_way(move.src, move.node, kind):
        if sim.flying[letter][1] == move.msg:
            return letter
    raise ScenarioError(f"{move} is not on its way there: give the nodes of that run.")


def read_message(text: str) -> Message:
    """The message that `repr` wrote: `Put(key='x', value=1)`, or `Put('x', 1)`.

    Raises ValueError for anything else; nothing is evaluated.

    >>> from clusterlab.core.spec import Put
    >>> read_message("Put('x', 1)")
    Put(key='x', value=1)
    """
    message = _value(ast.parse(text.strip(), mode="eval").body)
    if not isinstance(message, Message):
        raise ValueError(f"{text!r} is no message")  # noqa: TRY004 - a text that says something else
    return message


def _value(tree: ast.expr) -> Any:
    if not isinstance(tree, ast.Call):
        return ast.literal_eval(tree)
    if not isinstance(tree.func, ast.Name):
        raise ValueError(f"{ast.unparse(tree)} is no message")  # noqa: TRY004 - likewise
    name = tree.func.id
    kind = next((one for one in reversed(message_classes()) if one.__name__ == name), None)
    if kind is None:
        raise ValueError(f"there is no message class {name}")
    named = {word.arg or "": _value(word.value) for word in tree.keywords}
    try:
        return kind(*map(_value, tree.args), **named)
    except TypeError as error:
        raise ValueError(str(error)) from None
