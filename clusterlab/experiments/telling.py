"""How `clusterlab run` asks and tells, on a terminal."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clusterlab.experiments.base import Outcome, Prediction


def ask(console: Console, prediction: Prediction) -> None:
    """What do you expect? Nobody has to answer; where nobody can, nobody is waited for."""
    console.print(f"Your guess: {escape(prediction.question)}")
    for number, option in enumerate(prediction.options, 1):
        console.print(f"  {number}. {escape(option)}")
    if sys.stdin.isatty() and console.is_terminal and not console.quiet:
        said = console.input(f"1 to {len(prediction.options)}, or Enter to go on: ").strip()
        if said.isdecimal() and 0 < int(said) <= len(prediction.options):
            console.print(f"Let us see: {escape(prediction.options[int(said) - 1])}")


def tell(console: Console, outcome: Outcome, *, brief: bool) -> None:
    """What a run came to: every check with the values that say so, and how to see it again."""
    if brief and outcome.passed:
        console.print(f"  seed {outcome.seed}: passed, {_counts(outcome.operations)}")
        return
    table = Table(title=f"seed {outcome.seed}", title_justify="left", show_header=False)
    for check in outcome.checks:
        mark = "[green]held[/]" if check.holds else "[bold red]BROKEN[/]"
        table.add_row(mark, check.name, escape(check.explanation))
    console.print(table)
    console.print(f"Faults that struck: {_counts(outcome.fired) or 'none'}")
    console.print(
        f"Operations: {_counts(outcome.operations)}; "
        f"{outcome.duration_ms:.0f} ms, {len(outcome.trace)} events"
    )
    if not outcome.passed:
        again = (
            f"clusterlab run {outcome.experiment} --engine {outcome.engine} --seed {outcome.seed}"
        )
        console.print(f"Again, with the trace: {again} --trace run.jsonl")


def tell_total(console: Console, outcomes: Sequence[Outcome]) -> None:
    """What many seeds came to."""
    fired: Counter[str] = Counter()
    for outcome in outcomes:
        fired.update(outcome.fired)
    failed = [outcome.seed for outcome in outcomes if not outcome.passed]
    console.print(f"Faults that struck in {len(outcomes)} runs: {_counts(fired)}")
    console.print(
        f"[bold red]{len(failed)} of {len(outcomes)} seeds failed: {failed}[/]"
        if failed
        else f"[green]All {len(outcomes)} seeds passed.[/]"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()) if n)
