"""What an exercise is: a class to write, steps to try it in, and worlds that must not break it.

A `Try` is unit-sized: one node, a few events, and what must come of them. It says whether the
answer does anything, and what the paper asks for. A `Look` then tries what nobody thinks of: every
schedule of a small world, or storms from seeds. What is forbidden is left to the looks on purpose,
since a run that breaks a promise teaches more than a sentence that states it.

An answer that does nothing breaks nothing. So every exercise has a `sometimes` or an `eventually`
among its properties: something good must happen as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from clusterlab.check.explore import explore
from clusterlab.check.report import Progress, Report
from clusterlab.check.story import Story, in_short
from clusterlab.core.effects import Deliver, Effect, Event, Fire, Send, SetTimer
from clusterlab.core.errors import ScenarioError
from clusterlab.core.history import Invoke
from clusterlab.core.message import Message
from clusterlab.core.node import Node, NodeId, restart, step
from clusterlab.core.trace import Trace
from clusterlab.experiments.fuzz import Trial, fuzz_trial
from clusterlab.experiments.minimize import minimize

STATES_MAX = 300_000
"""Where a look gives up. A right answer stays far below it."""
REPETITIONS = 12
"""So often the last message of a try arrives again: by then a node has come to rest."""

Answer: TypeAlias = type[Any]
"""The class that a learner wrote."""
Say: TypeAlias = Callable[[str], None]
"""Is told, about once a second, how far a look has come."""
Want: TypeAlias = Callable[[Node, Sequence[Effect]], str]
"""Takes the node after the last event and what it wants done; "" or what is wrong, as a clause."""


class Exercise(NamedTuple):
    """Something to write, and how it is judged."""

    name: str
    """The lab and what is written: `14/acceptor`."""
    base: type[Node]
    """What the answer derives from."""
    writes: tuple[str, ...]
    """The methods that the learner writes."""
    tries: tuple[Try, ...]
    looks: tuple[Look, ...]
    source: str
    """Where the answer is written down."""
    hides: tuple[str, ...] = ()
    """Methods of `base` that are a part of the answer, and so are not there to be called."""
    returns_none: tuple[str, ...] = ()
    """Methods that may return None; of all others it is said that a `return` is missing."""


class Crash(NamedTuple):
    """In the events of a `Try`: the node dies and comes back with its disk."""


@dataclass(frozen=True)
class Try:
    """A node, what happens to it, and what must come of the last event.

    Parameters
    ----------
    says:
        What is asked, as the end of a sentence: "a first Prepare is promised".
    node:
        Makes the node of the learner's class.
    events:
        What happens to it.
    wants:
        What must come of it.
    because:
        The sentence of the paper.
    """

    says: str
    node: Callable[[Answer], Node]
    events: tuple[Event | Crash, ...]
    wants: tuple[Want, ...]
    because: str = ""

    def problem(self, answer: Answer) -> str:
        """What is wrong, as a sentence; "" if nothing is. Raises what the handlers raise."""
        node = self.node(answer)
        effects: Sequence[Effect] = ()
        for event in self.events:
            if isinstance(event, Crash):
                node, effects = restart(node), ()
            else:
                node, effects = step(node, event)
        for want in self.wants:
            wrong = want(node, effects)
            if wrong:
                told = f"after {_and(map(_told, self.events))}, {wrong}."
                return f"{told} {self.because}".rstrip()
        return self._grows(node)

    def _grows(self, node: Node) -> str:
        """A message may come twice, and then again: a state that never settles is no state."""
        last = self.events[-1]
        if not isinstance(last, Deliver):
            return ""
        growing = set(node.state())
        for _ in range(REPETITIONS):
            before = node.state()
            node, _ = step(node, last)
            growing &= {name for name, value in node.state().items() if value != before[name]}
        if not growing:
            return ""
        fields = _and(f"`{name}`" for name in sorted(growing))
        return (
            f"{fields} changes each time the same {type(last.msg).__name__} arrives again. "
            "Networks repeat messages, so that would never end: a repetition must change nothing."
        )


def _told(event: Event | Crash) -> str:
    if isinstance(event, Crash):
        return "a crash and a restart"
    if isinstance(event, Deliver):
        msg = event.msg.operation if isinstance(event.msg, Invoke) else event.msg
        return f"{in_short(msg)} from {event.src}"
    return in_short(event.timer) if isinstance(event, Fire) else "its start"


def _and(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


# --- what can be wanted ------------------------------------------------------------------------


def sends(dst: NodeId, msg: Message) -> Want:
    """This message must go to `dst`."""

    def want(node: Node, effects: Sequence[Effect]) -> str:
        # By their text: a cell that is run again makes new classes of the same name.
        sent = [(e.dst, repr(e.msg)) for e in effects if isinstance(e, Send)]
        if (dst, repr(msg)) in sent:
            return ""
        return f"{node.id} should send {in_short(msg)} to {dst}, but it {_did(effects)}"

    return want


def sends_no(kind: str) -> Want:
    """No message of this class may be sent."""

    def want(node: Node, effects: Sequence[Effect]) -> str:
        sent = [e for e in effects if isinstance(e, Send) and type(e.msg).__name__ == kind]
        return f"{node.id} should send no {kind}, but it {_did(sent)}" if sent else ""

    return want


def has(**fields: Any) -> Want:
    """These fields must have these values."""

    def want(node: Node, _: Sequence[Effect]) -> str:
        for name, value in fields.items():
            if getattr(node, name) != value:
                return (
                    f"`self.{name}` of {node.id} should be "
                    f"{in_short(value)}, but it is {in_short(getattr(node, name))}"
                )
        return ""

    return want


def sets(kind: str) -> Want:
    """A timer of this class must be set."""

    def want(node: Node, effects: Sequence[Effect]) -> str:
        timers = [e for e in effects if isinstance(e, SetTimer)]
        if any(type(one.timer).__name__ == kind for one in timers):
            return ""
        return f"{node.id} should set its timer {kind}, but it does not"

    return want


def _did(effects: Sequence[Effect]) -> str:
    sent = [
        f"{in_short(effect.msg)} to {effect.dst}" for effect in effects if isinstance(effect, Send)
    ]
    if sent:
        return f"sends {_and(sent)}"
    return "sends nothing"


# --- looks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What a look at an answer came to."""

    covered: str = ""
    """What was tried: "4,761 states: every schedule of two ballots"."""
    broken: str | None = None
    """The property that was broken; None: nothing."""
    explanation: str = ""
    """The values that break it, or why nothing can be said."""
    trace: Trace | None = None
    """The run that breaks it."""
    story: Story | None = None
    """The same in words."""

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.broken is None


Look: TypeAlias = Callable[[Answer, Say], Finding]

IDLE = "something good happens"
"""The property that an answer breaks which does nothing."""


def every_schedule(
    says: str,
    nodes: Callable[[Answer], Iterable[Node]],
    *,
    idle: str = "",
    partly: bool = False,
    **world: Any,
) -> Look:
    """A look at every schedule of a small world; `world` goes to `explore`.

    Parameters
    ----------
    says:
        Names the world.
    nodes:
        Makes its nodes of the learner's class.
    idle:
        What to think about if nothing good ever happens in it.
    partly:
        The world is larger than `states_max`, and only its shortest runs are looked at.
    """

    def look(answer: Answer, say: Say) -> Finding:
        limits = {"states_max": STATES_MAX, "hygiene": False}
        made = list(nodes(answer))
        try:
            report = explore(made, progress=_progress(say, says), **{**limits, **world})
        except ScenarioError as error:
            if "after" not in world:
                raise
            return Finding("", "a run of the paper can happen", f"in {says}, {error}")
        if partly and report.verdict == "not finished" and not report.never:
            return Finding(f"{report.states:,} states, the shortest runs first: {says}")
        return finding_of(report, says, idle)

    return look


def storms(
    says: str, trial: Callable[[Answer], Trial], *, seeds: range, search_s: float = 3.0
) -> Look:
    """A look at seeded runs: faults, then peace; the first that fails is made as short as it can.

    `search_s` is how long a search may look for a run that is shorter still.
    """

    def look(answer: Answer, say: Say) -> Finding:
        made = trial(answer)
        report = fuzz_trial(
            made,
            seeds,
            until_violation=True,
            progress=lambda now: say(f"{says}, {now.seeds:,} of {now.of:,} runs"),
        )
        run = report.run
        if run is None:
            never = ", ".join(report.never)
            return Finding(
                f"{report.seeds:,} runs: {says}",
                IDLE if never else None,
                f"it never happened in {report.seeds:,} runs that {never}" if never else "",
            )
        first = run.violations[0]
        lasting = [one.name for one in made.properties if one.kind == "eventually"]
        if first.property in lasting:
            return Finding("", first.property, first.explanation, run.trace)
        say(f"{says}: a run fails; it is made shorter")
        short = minimize(made, run, search_s=search_s)
        return Finding("", short.property, short.explanation, short.trace, short.story())

    return look


def afterwards(one: Try) -> Look:
    """A step by hand that comes after the worlds, which show most who fail it a run."""

    def look(answer: Answer, _: Say) -> Finding:
        problem = one.problem(answer)
        if problem:
            return Finding("", "A step by hand", f"“{one.says}”: {problem}")
        return Finding(f"a step by hand: {one.says}")

    return look


def finding_of(report: Report, says: str, idle: str = "") -> Finding:
    """What a search comes to."""
    if report.verdict == "violated":
        return Finding("", report.property, report.explanation, report.trace, report.story())
    covered = f"{report.states:,} states: {says}"
    if report.never:
        happened = ", ".join(report.never)
        hint = f" {idle}" if idle else ""
        return Finding(covered, IDLE, f"in {says}, it never happens that {happened}.{hint}")
    if report.verdict == "not finished":
        return Finding(
            covered,
            "the world stays small",
            f"after {report.states:,} states there were still new ones, many times more than a "
            "right answer has: keep only what the paper keeps, and nothing that grows with each "
            "message",
        )
    return Finding(covered)


def _progress(say: Say, says: str) -> Callable[[Progress], None]:
    return lambda now: say(f"{says}, {now.states:,} states")


def find(name: str, table: dict[str, Exercise]) -> Exercise:
    """The exercise of that name; ScenarioError, with near matches, if there is none."""
    from difflib import get_close_matches  # noqa: PLC0415 - for the error only

    if name in table:
        return table[name]
    near = get_close_matches(str(name), table, n=2, cutoff=0.4)
    there = " or ".join(map(repr, near)) if near else ", ".join(map(repr, sorted(table)))
    raise ScenarioError(f"there is no exercise {name!r}: did you mean {there}?")
