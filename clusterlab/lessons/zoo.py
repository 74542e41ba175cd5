"""`make zoo`: hunt every published bug, and the healthy classes with the very same hunts.

A mutant is killed if its own property is violated, in time, by a run that replays, and not by more
events than the published run has. The zoo is in order if all are killed and no healthy class is
ever accused: a checker that accuses everybody kills every mutant too.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clusterlab.core.errors import ClusterlabError, ScenarioError
from clusterlab.core.faults import check_name
from clusterlab.lessons import mutants
from clusterlab.lessons.mutants import Caught, Mutant

SECONDS = 60.0
FAILED, USAGE, INTERRUPTED = 1, 2, 130
WIDTH = 160
"""Of the table, where no terminal says how wide it is."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Score:
    """What the hunt for one mutant came to."""

    mutant: Mutant
    broken: Caught | None
    """None: the hunt could not be made, and `complaints` says why."""
    healthy: Caught | None
    complaints: tuple[str, ...]

    @property
    def killed(self) -> bool:
        """Whether its property caught it, in time, and no healthy class was accused."""
        return not self.complaints


def find_mutants() -> dict[str, Mutant]:
    """Every mutant by its name, in the order of their names: R2 before R10."""
    found: list[Mutant] = []
    for module in pkgutil.iter_modules(mutants.__path__, f"{mutants.__name__}."):
        found += getattr(importlib.import_module(module.name), "MUTANTS", ())
    return {mutant.name: mutant for mutant in sorted(found, key=_order)}


def _order(mutant: Mutant) -> tuple[str | int, ...]:
    letters, number, rest = re.fullmatch(r"(\D*)(\d*)(.*)", mutant.name).groups()  # type: ignore[union-attr]
    return letters, int(number or 0), rest


def hunt(mutant: Mutant, seconds: float = SECONDS, say: Say = lambda _: None) -> Score:
    """Hunt the broken class, and the healthy one in the same way."""
    broken: Caught | None = None
    try:
        broken = mutant.hunt(mutant.broken, lambda line: say(f"broken: {line}"))
        healthy = mutant.hunt(mutant.healthy, lambda line: say(f"healthy: {line}"))
    except ClusterlabError as error:
        return Score(mutant, broken, None, (str(error),))
    return Score(mutant, broken, healthy, tuple(_complaints(mutant, broken, healthy, seconds)))


def _complaints(mutant: Mutant, broken: Caught, healthy: Caught, seconds: float) -> Iterator[str]:
    if broken.property is None:
        yield f"alive: nothing was found in {broken.covered}"
    elif broken.property != mutant.caught_by:
        yield f"{broken.property} was violated, and not {mutant.caught_by}"
    elif broken.trace is None:
        yield "there is no trace of the run that kills it"
    if broken.seconds > seconds:
        yield f"it took {broken.seconds:.0f} s of CPU, and not {seconds:g} s at most"
    if is_longer(mutant, broken):
        yield f"its run has {broken.depth} events, and the published one {mutant.depth}"
    if healthy.property is not None:
        yield (
            f"false alarm: {mutant.healthy.__name__} is said to violate {healthy.property} "
            f"({healthy.explanation})"
        )


def is_longer(mutant: Mutant, caught: Caught) -> bool:
    """Whether a search found only a run that is longer than the published one."""
    if mutant.depth is None or caught.depth is None or caught.checker not in ("search", "prefix"):
        return False
    return caught.depth > mutant.depth


# --- what is printed -----------------------------------------------------------------------------


def table_of(scores: Sequence[Score]) -> Table:
    """A row for each mutant."""
    table = Table(caption="depth: events of the run / of the published one; s: CPU seconds")
    for name in ("", "mutant", "verdict", "by", "property"):
        table.add_column(name)
    for name in ("depth", "states", "s"):
        table.add_column(name, justify="right")
    table.add_column("the healthy class is silent over")
    for score in scores:
        mutant, broken, healthy = score.mutant, score.broken, score.healthy
        verdict = "[green]killed[/]" if score.killed else f"[red]{_verdict(score)}[/]"
        row = [mutant.name, escape(mutant.title), verdict]
        row += _cells(mutant, broken) if broken is not None else [""] * 5
        silence = ""
        if healthy is not None:
            silence = f"{healthy.covered}, {healthy.seconds:.1f} s"
            if healthy.property is not None:
                silence = "[red]accused[/]"
        table.add_row(*row, silence)
    return table


def _verdict(score: Score) -> str:
    if score.broken is None or score.healthy is None:
        return "failed"
    if score.healthy.property is not None:
        return "false alarm"
    return "alive" if score.broken.property is None else "not as it should be"


def _cells(mutant: Mutant, broken: Caught) -> list[str]:
    published = "-" if mutant.depth is None else str(mutant.depth)
    return [
        broken.checker,
        escape(broken.property or "-"),
        f"{broken.depth or '-'} / {published}",
        "-" if broken.states is None else f"{broken.states:,}",
        f"{broken.seconds:.1f}",
    ]


def summary_of(scores: Sequence[Score], of: int) -> str:
    """The score in a line."""
    killed = sum(score.killed for score in scores)
    kills = sum(score.broken.seconds for score in scores if score.broken)
    silence = sum(score.healthy.seconds for score in scores if score.healthy)
    text = f"{killed} of {of} mutants killed in {kills:.0f} s of CPU; "
    alarms = sum(s.healthy is not None and s.healthy.property is not None for s in scores)
    text += f"{alarms or 'no'} false alarm{'s' * (alarms > 1)} of the healthy classes"
    return f"{text} in {silence:.0f} s."


# --- the command ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None, known: dict[str, Mutant] | None = None) -> int:
    """Hunt the mutants that are named, or all.

    Returns 0 if all were killed and no healthy class was accused, 1 if not, 2 for wrong usage,
    130 if interrupted; what is known by then is printed.
    """
    options = _parser().parse_args(arguments)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    chosen: list[Mutant] = []
    scores: list[Score] = []
    interrupted = False
    try:
        chosen = _choose(options.names, find_mutants() if known is None else known)
        _make_folder(options.traces)
        if options.seconds <= 0:
            raise ScenarioError(f"--seconds {options.seconds:g}: give a hunt more than 0 seconds.")
        for score in _hunt_all(chosen, options.seconds, errors):
            scores.append(score)
            if options.traces is not None and score.broken and score.broken.trace:
                score.broken.trace.save(options.traces / f"{score.mutant.name}.jsonl")
    except KeyboardInterrupt:
        interrupted = True
    except ClusterlabError as error:
        errors.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}")
        return USAGE
    _tell(scores, len(chosen))
    if interrupted:
        return INTERRUPTED
    return 0 if all(score.killed for score in scores) else FAILED


def _tell(scores: Sequence[Score], of: int) -> None:
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=WIDTH)
    out.print(table_of(scores))
    for score in scores:
        for complaint in score.complaints:
            out.print(f"[red]{score.mutant.name}[/] {escape(complaint)}")
    out.print(escape(summary_of(scores, of)))
    if len(scores) < of:
        out.print(f"Interrupted: {of - len(scores)} were not hunted to the end.")


def _hunt_all(chosen: Sequence[Mutant], seconds: float, errors: Console) -> Iterator[Score]:
    """One mutant after another, with a line that says how far it is."""
    with errors.status("") as status:
        for number, mutant in enumerate(chosen, 1):
            name = f"{mutant.name} ({number} of {len(chosen)}) {mutant.title}"

            def say(line: str, name: str = name) -> None:
                status.update(escape(f"{name}; {line}"))

            say("begins")
            score = hunt(mutant, seconds, say)
            errors.print(f"{escape(name)}: {'killed' if score.killed else _verdict(score)}")
            yield score


def _choose(names: Sequence[str], known: dict[str, Mutant]) -> list[Mutant]:
    for name in names:
        check_name(name, known, "mutant")
    return [known[name] for name in dict.fromkeys(names or known)]


def _make_folder(folder: Path | None) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScenarioError(
            f"cannot write traces into {folder}: {error.strerror}; "
            "name a folder that you can write to."
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m clusterlab.lessons.zoo", description="Hunt published bugs."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants such as R1; default: all")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="CPU that a kill may take (default: 60)"
    )
    parser.add_argument(
        "--traces", type=Path, metavar="FOLDER", help="save the run that kills each mutant there"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
