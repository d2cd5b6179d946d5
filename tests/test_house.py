"""The habits of the house that a program can check; each check is shown to fail."""

import ast
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("services", "pipelines", "sandbox-image")
NAMELESS = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}
REASONED_IGNORE = re.compile(r"#\s*type:\s*ignore\[[a-z-]+(,\s*[a-z-]+)*\]\s+#\s*\S")
RECIPES = re.compile(r"\b(rft|gift|dstc|inverse[-_ ]?instruct)\b", re.IGNORECASE)
UNFINISHED = re.compile(r"\b(TO(?:DO)|FIX(?:ME)|X(?:XX))\b")
OUTSIDE = re.compile(r"\.\./sha(?:red)\b")
TEXTS = {".py", ".proto", ".md", ".toml", ".yaml", ".yml", ".txt", ".j2", ".html", ".sh"}


def files(*roots: str) -> Iterator[Path]:
    """Every text file that people write below the given roots."""
    for root in roots:
        for path in sorted((ROOT / root).rglob("*")):
            inside = path.relative_to(ROOT).as_posix()
            if path.suffix in TEXTS and not re.search(r"_pb2|tests/data/|/\.", inside):
                yield path


def python_files(*roots: str) -> Iterator[Path]:
    """Every Python file that people write below the given roots."""
    return (path for path in files(*roots) if path.suffix == ".py")


def over_long(source: str, most: int) -> list[str]:
    """The file when it has more lines than `most`, and functions with a body of more than 60."""
    found = [f"{lines} lines"] if (lines := source.count("\n")) > most else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.body[0].lineno + 1
            found += [f"{node.name} of {lines} lines"] if lines > 60 else []
    return found


def bare_ignores(source: str) -> list[str]:
    """The comments that silence mypy without naming what and why."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    silencing = [text for text in comments if re.match(r"#\s*type:\s*ignore", text)]
    return [text for text in silencing if not REASONED_IGNORE.match(text)]


def undescribed(source: str) -> list[str]:
    """The module, its public classes and its public functions that have no docstring."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            public = not node.name.startswith("_")
            found += [node.name] if public and not ast.get_docstring(node) else []
    return found


def catch_alls(source: str) -> list[str]:
    """The handlers that catch every exception and do not raise one in turn."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.walk(node.type) if node.type else [ast.Name("Exception")]
            names = {name.id for name in caught if isinstance(name, ast.Name)}
            raises = any(isinstance(inner, ast.Raise) for inner in node.body)
            if names & {"Exception", "BaseException"} and not raises:
                found.append(f"line {node.lineno}")
    return found


def matches(pattern: re.Pattern[str], source: str) -> list[str]:
    """What the pattern finds, with its line."""
    lines = enumerate(source.splitlines(), 1)
    return [
        f"line {number}: {found[0]}" for number, line in lines if (found := pattern.search(line))
    ]


def hold(paths: Iterable[Path], check: Callable[[str], list[str]]) -> None:
    """Asserts that a check finds nothing in any of the files."""
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {problem}"
        for path in paths
        for problem in check(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_a_file_is_one_idea() -> None:
    hold(python_files(*SHIPPED, "tools"), lambda s: over_long(s, 300))
    hold(python_files("tests"), lambda s: over_long(s, 500))


def test_every_module_has_a_name_of_its_own() -> None:
    names = [path.relative_to(ROOT) for path in python_files(*SHIPPED, "tests", "tools")]
    assert [path for path in names if NAMELESS & {path.stem, *path.parts}] == []


def test_the_namespace_has_no_module_of_its_own() -> None:
    assert [
        root for root in (*SHIPPED, "protos") if (ROOT / root / "roundsmith/__init__.py").exists()
    ] == []


def test_every_silenced_type_error_says_which_and_why() -> None:
    hold(python_files(*SHIPPED, "tests", "tools"), bare_ignores)


def test_everything_public_is_described() -> None:
    hold(python_files(*SHIPPED, "tools"), undescribed)


def test_only_servers_and_the_sandbox_catch_everything() -> None:
    """A server answers every error with a status; in the sandbox what a program raises is data."""
    allowed = re.compile(r"/roundsmith/(serve|sandbox)[/.]")
    paths = (path for path in python_files(*SHIPPED) if not allowed.search(path.as_posix()))
    hold(paths, catch_alls)


def test_services_name_no_recipe() -> None:
    hold(files("services", "protos", "sandbox-image"), lambda s: matches(RECIPES, s))


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == "make test"
    assert re.search(r"^\s*make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("pattern", [UNFINISHED, OUTSIDE], ids=["unfinished", "outside"])
def test_no_text_is_unfinished_or_points_outside(pattern: re.Pattern[str]) -> None:
    roots = (*SHIPPED, "tests", "tools", "protos", "docs", "presets")
    paths = [*files(*roots), *(path for path in ROOT.iterdir() if path.suffix in TEXTS)]
    hold(paths, lambda s: matches(pattern, s))


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (lambda s: over_long(s, 2), "a = 1\nb = 2\nc = 3\n"),
        (lambda s: over_long(s, 99), "def long():\n" + "    a = 1\n" * 61),
        (bare_ignores, "a = b  # type: ignore\n"),
        (bare_ignores, "a = b  # type: ignore[attr-defined]\n"),
        (undescribed, "a = 1\n"),
        (undescribed, '"""Described."""\ndef public(): ...\n'),
        (undescribed, '"""Described."""\nclass Public: ...\n'),
        (catch_alls, "try:\n    a = 1\nexcept (OSError, Exception):\n    pass\n"),
        (catch_alls, "try:\n    a = 1\nexcept:\n    pass\n"),
        (lambda s: matches(RECIPES, s), "# as GiFT does\n"),
        (lambda s: matches(UNFINISHED, s), "# TO" + "DO: finish\n"),
        (lambda s: matches(OUTSIDE, s), "see ../sha" + "red/design.md\n"),
    ],
)
def test_each_check_finds_what_it_forbids(check: Callable[[str], list[str]], source: str) -> None:
    assert len(check(source)) == 1


def test_the_checks_let_pass_what_is_allowed() -> None:
    source = '''"""Described."""
value = other  # type: ignore[attr-defined, misc]  # the library has no types
def _private(): ...
def public():
    """Does it."""
    try:
        _private()
    except Exception as error:
        raise ValueError("seen") from error
'''
    assert not any([over_long(source, 9), bare_ignores(source), undescribed(source)])
    assert not any(
        [catch_alls(source), matches(RECIPES, "a drift, a gifted"), matches(UNFINISHED, "")]
    )
