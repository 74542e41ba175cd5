"""Rules that are not about behaviour: sizes, places, words. Exceptions stand here with a reason."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# "About 400 lines" and "about 70 lines", with a little air, so that nobody shaves a comment off.
FILE_LINES_MAX, FUNCTION_LINES_MAX = 440, 75
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {
    "clusterlab/check/explore.py:explore": "its parameters are all that a world may contain",
}

TOP_LEVEL = {"labs", "clusterlab", "solutions", "tests", "binder", "Makefile", "LICENSE"} | {
    "pyproject.toml", "requirements.lock", "README.md", "DESIGN.md", "CHANGELOG.md",
}  # fmt: skip

# Home directories and working directories of one machine; Binder's user is the same everywhere.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:home/(?!jovyan\b)|Users/|root/|work/)\w|\b[A-Z]:\\Users\\"
)

# A leader is not among them: the one whom the clients talk to has its place in any picture.
PROTOCOL_WORDS = re.compile(
    r"raft|paxos|ballot|\bterm\b|voted_?for|commit_?index|follower|candidate|acceptor|proposer",
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    """The files that git knows of, by their path from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def sources(*suffixes: str) -> Iterator[tuple[Path, str]]:
    """The package's files with one of these endings, and what they hold."""
    for path in sorted((ROOT / "clusterlab").rglob("*")):
        if path.suffix in suffixes:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def without_comments(javascript: str) -> str:
    """The code of a view, its comments blanked out; every line keeps its number."""

    def blank(comment: re.Match[str]) -> str:
        return "\n" * comment[0].count("\n")

    return re.sub(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", blank, javascript, flags=re.DOTALL)


def lines_with(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line in which the pattern is found."""
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.search(line):
            yield number, line.strip()


# ---- sizes ---------------------------------------------------------------------------------------


def test_no_file_is_too_long_without_a_reason() -> None:
    lengths = {str(path): len(text.splitlines()) for path, text in sources(".py", ".js", ".css")}
    too_long = {name for name, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert lengths, "nothing was looked at"
    new = {name: lengths[name] for name in too_long - LONG_FILES.keys()}
    assert not new, f"Split them, or add them to LONG_FILES with a reason: {new}"
    assert not LONG_FILES.keys() - too_long, "LONG_FILES excuses files that need no excuse"


def test_no_function_is_too_long_without_a_reason() -> None:
    lengths = {
        f"{path}:{name}": lines
        for path, text in sources(".py")
        for name, lines in functions(ast.parse(text))
    }
    too_long = {name for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX}
    assert lengths, "nothing was looked at"
    new = {name: lengths[name] for name in too_long - LONG_FUNCTIONS.keys()}
    assert not new, f"Split them, or add them to LONG_FUNCTIONS with a reason: {new}"
    assert not LONG_FUNCTIONS.keys() - too_long, "LONG_FUNCTIONS excuses functions that need none"


# ---- places --------------------------------------------------------------------------------------


def test_the_top_level_holds_what_the_design_names() -> None:
    entries = {path.parts[0] for path in tracked()}
    assert "pyproject.toml" in entries, "nothing was looked at"
    extra = {name for name in entries - TOP_LEVEL if not name.startswith(".")}
    assert not extra, f"They have no place at the top level: {sorted(extra)}"


def test_no_path_of_one_machine_is_in_a_file() -> None:
    found = []
    for path in tracked():
        try:
            text = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        found += [f"{path}:{n}: {line[:120]}" for n, line in lines_with(MACHINE_PATH, text)]
    assert not found, "They mean nothing elsewhere:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("cd /" + "root/project", True),
        ("'/" + "home/ann/x'", True),
        ("open(/" + "Users/ann)", True),
        ("C:" + "\\Users\\ann", True),
        ("/home/jovyan/labs", False),
        ("https://example.org/home/page", False),
        ("labs/work/x", False),
        ("/tmp/ray", False),
    ],
)
def test_a_path_of_one_machine_is_told_from_others(text: str, is_one: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) is is_one


# ---- words ---------------------------------------------------------------------------------------


def test_the_pictures_know_no_protocol() -> None:
    found = [
        f"{path}:{number}: {line[:120]}"
        for path, text in sources(".js")
        for number, line in lines_with(PROTOCOL_WORDS, without_comments(text))
    ]
    assert not found, "A view gets labels, shapes and colours from Python:\n" + "\n".join(found)


def test_a_protocol_word_in_code_is_found_and_one_in_a_comment_is_not() -> None:
    source = (
        "// a candidate is drawn larger\n"
        "/* a term\n   is a label */ const label = role;\n"
        "if (node.role === 'follower') {}\n"
        "const terminal = 1; // determines nothing\n"
        "const u = 'http://term.example';\n"
    )
    found = [number for number, _ in lines_with(PROTOCOL_WORDS, without_comments(source))]
    assert found == [4, 6]
