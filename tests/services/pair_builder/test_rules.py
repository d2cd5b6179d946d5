"""Recipes are found by name in packages and folders; whatever is wrong with one is said."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from roundsmith.errors import ConfigError, EngineError, UnknownName
from roundsmith.hashing import derive_seed
from roundsmith.pair_builder.rules import configure, find_rule, load_rules, select
from roundsmith.types import Example
from tests.services.serve.world import connected, group, recipes, serving


def folder(path: Path, **sources: str) -> str:
    """A folder of modules by name."""
    path.mkdir(exist_ok=True)
    for name, source in sources.items():
        (path / f"{name}.py").write_text(source)
    return str(path)


def test_a_folder_gives_its_recipes_by_file_name(tmp_path: Path) -> None:
    source = recipes(tmp_path / "r")
    folder(tmp_path / "r", shared="NOTHING = 1", _hidden="raise SystemError")
    assert list(load_rules([source])) == ["echo"]


def test_a_package_gives_its_recipes_by_module_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes(tmp_path / "pairs_of_a_test")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(load_rules(["pairs_of_a_test"])) == ["echo"]


def test_a_selection_is_a_function_of_its_seed_and_its_task(tmp_path: Path) -> None:
    rules = load_rules([recipes(tmp_path / "r")])
    first, again, other = (select(rules, "echo", {}, seed, group("a")) for seed in (1, 1, 2))
    assert first == again != other
    assert select(rules, "echo", {}, 1, group("b")) != first
    assert isinstance(first[0], Example)
    assert first[0].completion == str(Random(derive_seed(1, "a")).randrange(1000))


def test_an_unknown_recipe_is_told_with_the_list(tmp_path: Path) -> None:
    rules = load_rules([recipes(tmp_path / "r")])
    with pytest.raises(UnknownName, match="'nosuch': expected one of echo"):
        find_rule(rules, "nosuch")
    with pytest.raises(UnknownName, match="expected one of none"):
        find_rule({}, "nosuch")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    rule = find_rule(load_rules([recipes(tmp_path / "r")]), "echo")
    with pytest.raises(ConfigError, match=r"'echo': pause_s: .*saw 'long'"):
        configure(rule, "echo", {"pause_s": "long"})
    with pytest.raises(ConfigError, match="nosuch"):
        configure(rule, "echo", {"nosuch": 1})


def test_a_recipe_that_raises_is_named_with_its_task(tmp_path: Path) -> None:
    rules = load_rules([recipes(tmp_path / "r")])
    with pytest.raises(EngineError, match=r"'echo', task 'a': .*ZeroDivisionError"):
        select(rules, "echo", {"divide_by": 0}, 1, group("a"))


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ({"bad": "def f(:"}, r"bad\.py: .*SyntaxError"),
        ({"bad": "import nosuch_module"}, r"bad\.py: .*nosuch_module"),
        ({"bad": "RECIPE = 1"}, r"'bad' .*from_config"),
        ({"none": "X = 1"}, "at least one module with RECIPE"),
        ({}, "at least one module with RECIPE"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    tmp_path: Path, sources: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load_rules([folder(tmp_path / "r", **sources)])


@pytest.mark.parametrize("source", ["nosuch_package", "./nosuch/folder", "json.decoder"])
def test_what_is_neither_package_nor_folder_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="expected a package, a folder of"):
        load_rules([source])


def test_two_recipes_of_one_name_are_refused(tmp_path: Path) -> None:
    sources = [recipes(tmp_path / "a"), recipes(tmp_path / "b")]
    with pytest.raises(ConfigError, match="'echo': expected one, saw a second"):
        load_rules(sources)


def test_the_client_gets_the_rows_that_the_rule_gives(tmp_path: Path) -> None:
    rules = load_rules([recipes(tmp_path / "r")])
    groups = [group(f"t{number}", f"Task {number}.") for number in range(20)]

    async def play() -> None:
        async with (
            serving(tmp_path, max_items_in_flight=4) as addresses,
            connected(addresses["address"]) as client,
        ):
            assert await client.recipes() == ["echo"]
            built = await asyncio.gather(*(client.build("echo", {}, 7, g) for g in groups))
            assert built == [select(rules, "echo", {}, 7, g) for g in groups]

    asyncio.run(play())


def test_the_line_of_a_recipe_that_raises_is_named_and_its_traceback_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = recipes(tmp_path / "r")
    lines = (tmp_path / "r" / "echo.py").read_text().splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if "divide_by" in line and "/" in line)
    with pytest.raises(EngineError, match=rf"at {tmp_path}/r/echo\.py:{number}: correct it"):
        select(load_rules([source]), "echo", {"divide_by": 0}, 1, group("a"))
    assert "Traceback" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("source", ["./nosuchdir", "/nosuch/dir", "nosuch/", "nosuch.py"])
def test_a_folder_of_recipes_that_is_not_there_is_told_as_that(source: str) -> None:
    with pytest.raises(ConfigError, match=f"--recipes {source}: .*saw no such file or folder"):
        load_rules([source])


def test_a_file_gives_its_recipe_and_one_that_is_no_python_is_refused(tmp_path: Path) -> None:
    source = recipes(tmp_path / "r")
    assert list(load_rules([f"{source}/echo.py"])) == ["echo"]
    (tmp_path / "echo.toml").touch()
    with pytest.raises(ConfigError, match=r"echo\.toml: expected a package, .*saw another file"):
        load_rules([str(tmp_path / "echo.toml")])
