"""The command `clusterlab`: open the labs, run an experiment, look at this machine."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clusterlab.core.errors import ClusterlabError, ScenarioError

if TYPE_CHECKING:
    from clusterlab.experiments.base import Outcome
    from clusterlab.experiments.fuzz import SeedRun, Trial

FAILED, USAGE, INTERRUPTED = 1, 2, 130
UNKNOWN = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns the exit code: 0 all well, 1 something did not hold, 2 wrong usage or a verdict that is
    not known, 130 interrupted.
    """
    options = _parser().parse_args(arguments)
    # A terminal that closes and a `kill` end a run as Ctrl-C does: what was started is stopped.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    errors = Console(stderr=True, highlight=False)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        errors.print("Interrupted; everything that was started is stopped.")
        return INTERRUPTED
    except ClusterlabError as error:
        errors.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}")
        return USAGE if isinstance(error, ScenarioError) else FAILED


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal hands them in
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clusterlab",
        description="Learn how clusters work: run them, break them, see why they survive.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    lab = commands.add_parser(
        "lab", help="open JupyterLab on a lab (the first one, if none is named)"
    )
    lab.add_argument("name", nargs="?", default="00", help="a lab or the beginning of its name: 00")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")
    lab.add_argument(
        "--port", type=int, help="listen here (default: the first free port from 8888)"
    )
    lab.add_argument(
        "--fresh", action="store_true", help="start the lab anew; your copy is kept beside it"
    )
    lab.set_defaults(command=_lab)

    run = commands.add_parser("run", help="run an experiment and tell what happens")
    run.add_argument("name", help="an experiment (see `clusterlab experiments`), or all")
    run.add_argument(
        "--engine", choices=("sim", "live"), default="sim", help="sim (default) or live on Ray"
    )
    run.add_argument("--seed", type=int, default=0, help="seeds all that is drawn (default 0)")
    run.add_argument(
        "--seeds", type=int, default=1, metavar="N", help="run N seeds, from --seed on"
    )
    run.add_argument(
        "--json", action="store_true", help="print the outcome as JSON, and nothing else"
    )
    run.add_argument("--trace", type=Path, metavar="FILE", help="save the trace as JSON lines")
    run.add_argument("--html", type=Path, metavar="FILE", help="save a page that plays the run")
    run.set_defaults(command=_run)

    experiments = commands.add_parser(
        "experiments", help="list the experiments and their questions"
    )
    experiments.set_defaults(command=_experiments)

    _check_options(commands)
    _judge_options(commands)

    export = commands.add_parser("export", help="write a saved trace in the form of another tool")
    export.add_argument("trace", type=Path, help="a trace, as `clusterlab run --trace` saves it")
    export.add_argument(
        "--to",
        required=True,
        metavar="FORMAT",
        help="shiviz, chrome (Perfetto), mermaid, or jepsen (the clients' history as EDN)",
    )
    export.add_argument("--output", "-o", type=Path, metavar="FILE", help="(default: print it)")
    export.set_defaults(command=_export)

    doctor = commands.add_parser("doctor", help="say what of this machine is in order, with mends")
    doctor.set_defaults(command=_doctor)
    return parser


def _check_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check", help="run a protocol through storms of faults: exit 0 if every promise held"
    )
    check.add_argument("what", help="raft, paxos, multipaxos, or yours: my_module:MyRaft")
    check.add_argument("--like", metavar="NAME", help="what your class speaks: raft, paxos, ...")
    check.add_argument(
        "--seeds", type=int, default=200, metavar="N", help="how many storms (default 200)"
    )
    check.add_argument(
        "--first-seed", type=int, default=0, metavar="K", help="the first of them (default 0)"
    )
    check.add_argument(
        "--nodes", type=int, metavar="N", help="how many servers (default: it varies)"
    )
    check.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N",
        help="how many processes share the seeds (default: one for each processor)",
    )  # fmt: skip
    check.add_argument(
        "--address", help="of a Ray cluster that shares them instead (local: start one here)"
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON only")
    check.add_argument(
        "--save", type=Path, metavar="FOLDER", help="save the trace of the first seed that fails"
    )
    check.add_argument(
        "--shrink", action="store_true", help="and bring it down to the shortest run, told in words"
    )
    check.set_defaults(command=_check)


def _judge_options(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    judge = commands.add_parser(
        "judge", help="say whether a recorded history is consistent: exit 0 yes, 1 no, 2 unknown"
    )
    judge.add_argument("file", type=Path, help="a history as EDN, JSON or Jepsen's log, or a trace")
    judge.add_argument(
        "--model",
        help="the object: register, cas-register, kv, mutex, set, counter or ids",
    )
    judge.add_argument(
        "--check",
        default="linearizable",
        help="linearizable (default), sequential, sessions, staleness, set, ids or counter",
    )
    judge.add_argument("--ms", type=float, help="staleness: what is read may be so many ms old")
    judge.add_argument("--versions", type=int, help="staleness: or so many versions behind")
    judge.add_argument("--svg", type=Path, metavar="FILE", help="draw the verdict as a picture")
    judge.add_argument(
        "--nil-unknown",
        action="store_true",
        help="a read of nil says nothing (default: it saw what was never written)",
    )
    judge.add_argument("--states", type=int, metavar="N", help="give up after remembering N states")
    judge.set_defaults(command=_judge)


# --- run ---------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    from clusterlab.experiments import CATALOGUE, telling  # noqa: PLC0415 - `--help` stays quick

    if options.name == "all":
        return _run_all(options)
    if options.name not in CATALOGUE:
        raise ScenarioError(
            f"there is no experiment {options.name!r}; there are {', '.join(CATALOGUE)}."
        )
    for path in (options.trace, options.html):
        if path is not None and not path.resolve().parent.is_dir():
            raise ScenarioError(f"{path.parent} is no folder: make it first, or name another file.")
    if options.seeds < 1:
        raise ScenarioError(f"--seeds {options.seeds} runs nothing: give 1 or more.")
    experiment = CATALOGUE[options.name]()
    console = Console(quiet=options.json, highlight=False)
    console.print(f"[bold]{experiment.name}[/] on {options.engine}: {experiment.question}")
    outcomes = []
    quiet = options.seeds > 1
    if not quiet:
        telling.ask(console, experiment.prediction)
    for seed in range(options.seed, options.seed + options.seeds):
        extra = {"progress": lambda text: console.print(f"  [dim]{escape(text)}[/]")}
        outcome = experiment.run(
            engine=options.engine,
            seed=seed,
            say=(lambda _: None) if quiet else (lambda text: console.print(f"  {escape(text)}")),
            **(extra if options.engine == "live" else {}),
        )
        outcomes.append(outcome)
        telling.tell(console, outcome, brief=quiet)
    if options.trace is not None:
        console.print(f"The trace is in {outcomes[-1].trace.save(options.trace)}")
    if options.html is not None:
        _save_html(outcomes[-1], options.html)
        console.print(f"The run plays in {options.html}")
    if quiet:
        telling.tell_total(console, outcomes)
    else:
        right = experiment.prediction
        console.print(f"[bold]{escape(right.options[right.answer])}[/] {escape(right.because)}")
    if options.json:
        found = [outcome.as_json() for outcome in outcomes]
        sys.stdout.write(json.dumps(found if quiet else found[0], indent=2) + "\n")
    return 0 if all(outcome.passed for outcome in outcomes) else FAILED


def _run_all(options: argparse.Namespace) -> int:
    """Every experiment, one line each."""
    from clusterlab.experiments import CATALOGUE, telling  # noqa: PLC0415 - as above

    if options.trace is not None or options.html is not None:
        raise ScenarioError("--trace and --html are of one run: name one experiment.")
    console = Console(quiet=options.json, highlight=False)
    found = []  # without the traces: those of fifty seeds would fill a small machine
    seeds = range(options.seed, options.seed + options.seeds)
    for name, experiment in CATALOGUE.items():
        passed = 0
        for seed in seeds:
            outcome = experiment().run(engine=options.engine, seed=seed)
            passed += outcome.passed
            if not outcome.passed:
                telling.tell(console, outcome, brief=True)
            found.append(outcome.as_json())
        console.print(f"{name}: {passed} of {len(seeds)} passed")
    if options.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0 if all(one["passed"] for one in found) else FAILED


def _save_html(outcome: Outcome, path: Path) -> None:
    from clusterlab.views import show  # noqa: PLC0415 - widgets load when they are used

    show(outcome.trace).save_html(path)


def _experiments(_: argparse.Namespace) -> int:
    from clusterlab.experiments import CATALOGUE  # noqa: PLC0415 - `clusterlab --help` stays quick

    table = Table(show_header=False, box=None)
    for name, experiment in CATALOGUE.items():
        table.add_row(f"[bold]{name}[/]", experiment.question)
    Console(highlight=False).print(table)
    return 0


# --- check -------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from clusterlab.experiments import fuzz, fuzz_spread, fuzz_subjects  # noqa: PLC0415 - as above

    if options.seeds < 1:
        raise ScenarioError(f"--seeds {options.seeds} runs nothing: give 1 or more.")
    if options.save is not None:
        _make_folder(options.save)
    trials = fuzz_subjects.find(options.what, options.like, options.nodes)
    console = Console(quiet=options.json, highlight=False)
    report = fuzz.fuzz_trial(
        trials,
        range(options.first_seed, options.first_seed + options.seeds),
        workers=options.workers,
        address=options.address,
        progress=True,
        say=Console(stderr=True, highlight=False).print,
    )
    colour = "green" if report.ok else "yellow" if not report.broken else "bold red"
    headline, _, rest = str(report).partition("\n")
    # Terminals wrap by themselves, and a command that they have wrapped can still be copied.
    console.print(f"[{colour}]{escape(headline)}[/]\n{escape(rest)}", soft_wrap=True)
    saved = None
    if report.run is not None:
        if options.save is not None:
            saved = report.run.trace.save(options.save / f"{_file_name(options, report.run)}.jsonl")
            console.print(f"The trace of seed {report.seed} is in {saved}")
        if options.shrink:
            _shrink(options, fuzz_spread.trial_of(trials, report.run.seed), report.run, console)
        again = _again(options, report.run.seed)
        console.print(f"Again, that seed alone: {again}", soft_wrap=True)
    if options.json:
        found = {**report.as_json(), "trace": None if saved is None else str(saved)}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if report.interrupted:
        return INTERRUPTED
    return 0 if report.ok else FAILED


def _file_name(options: argparse.Namespace, run: SeedRun) -> str:
    return f"{options.what.replace(':', '.').replace('/', '.')}-{run.seed}"


def _shrink(options: argparse.Namespace, trial: Trial, run: SeedRun, console: Console) -> None:
    """Tell the shortest run that fails as this seed does, and save it where traces go."""
    from clusterlab.experiments.minimize import minimize  # noqa: PLC0415 - as above

    console.print(f"\nSeed {run.seed}, as short as it gets:", highlight=False)
    try:
        found = minimize(trial, run, say=lambda told: console.print(escape(told), soft_wrap=True))
    except ScenarioError as error:
        console.print(escape(str(error)), soft_wrap=True)
        return
    console.print(escape(f"\n{found.story()}"), soft_wrap=True)
    if options.save is not None:
        name = f"{_file_name(options, run)}-shortest"
        scenario, trace = found.save(options.save, name)
        console.print(f"The scenario is in {scenario}, its trace in {trace}", soft_wrap=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScenarioError(
            f"cannot save into {folder}: {error.strerror}; name a folder that you can write to."
        ) from error


def _again(options: argparse.Namespace, seed: int) -> str:
    words = ["clusterlab", "check", options.what]
    if options.like is not None:
        words += ["--like", options.like]
    if options.nodes is not None:
        words += ["--nodes", str(options.nodes)]
    return " ".join([*words, "--first-seed", str(seed), "--seeds", "1", "--save", "traces"])


# --- lab ---------------------------------------------------------------------------------------


def _lab(options: argparse.Namespace) -> int:
    from clusterlab.lessons import desk  # noqa: PLC0415 - `clusterlab --help` stays quick

    notebook = desk.lay_out(options.name, fresh=options.fresh)
    command = desk.jupyter_command(notebook, port=options.port, browser=not options.no_browser)
    Console(highlight=False).print(
        f"Opening [bold]{notebook.stem}[/]: your copy is in {notebook.parent}. Ctrl-C ends it."
    )
    # Ctrl-C and signals belong to JupyterLab from here on.
    os.execve(command[0], command, desk.jupyter_environment())


# --- export ------------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> int:
    from clusterlab.core.trace import Trace  # noqa: PLC0415 - as above
    from clusterlab.exports import FORMATS  # noqa: PLC0415 - as above

    write = FORMATS.get(options.to)
    if write is None:
        raise ScenarioError(f"there is no format {options.to!r}: write {', '.join(FORMATS)}.")
    text = write(Trace.load(options.trace))
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        options.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScenarioError(
            f"cannot write {options.output}: {error.strerror}; name a file in a folder of yours."
        ) from error
    return 0


# --- judge -------------------------------------------------------------------------------------


def _judge(options: argparse.Namespace) -> int:
    from clusterlab.check.judging import judge_file  # noqa: PLC0415 - `--help` stays quick

    verdict = judge_file(
        options.file,
        options.model,
        check=options.check,
        nil_is_unknown=options.nil_unknown,
        states_max=options.states,
        stale_ms=options.ms,
        stale_versions=options.versions,
    )
    colour = {True: "green", False: "bold red", None: "yellow"}[verdict.valid]
    console = Console(highlight=False)
    console.print(f"[{colour}]{escape(verdict.explain())}[/]")
    if options.svg is not None:
        from clusterlab.views import show  # noqa: PLC0415 - pictures load when they are used

        console.print(f"The picture is in {show(verdict).save_svg(options.svg)}")
    return {True: 0, False: FAILED, None: UNKNOWN}[verdict.valid]


# --- doctor ------------------------------------------------------------------------------------


def _doctor(_: argparse.Namespace) -> int:
    from clusterlab import doctor  # noqa: PLC0415 - `clusterlab --help` stays quick

    findings = doctor.diagnose()
    Console(highlight=False).print(doctor.render(findings))
    return FAILED if doctor.worst(findings) == "fail" else 0


if __name__ == "__main__":
    sys.exit(main())
