"""Who may import whom: read from the sources, and tried in a fresh interpreter."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SANDBOX = ROOT / "sandbox-image"

LAYERS = (
    {
        "v1",
        "types",
        "errors",
        "verdicts",
        "hashing",
        "tracing",
        "storage_s3",
        "wrong_settings",
        "installing",
        "cpu_time",
        "leftovers",
        "startup",
    },
    {"wire", "clients", "config", "storage", "bench", "kubernetes_login", "children"},
    {"generator", "executor", "scorer", "pair_builder", "serve", "models"},
    {
        "recipes",
        "steps",
        "store",
        "training",
        "benchmarks",
        "statistics",
        "lab",
        "presets",
        "claims",
        "report",
        "lineage",
        "handover",
    },
    {"round", "platform", "reproduce", "commands", "cli", "cli_lab", "cli_runs", "cli_serve"},
)
"""Each may import its own layer and those before it. The sandbox stands apart: it imports none."""
LAYER_BY_UNIT = {unit: number for number, units in enumerate(LAYERS) for unit in units}
FOUNDATIONS = 3
"""The layers of services/ and protos/; those after them are the method's, in pipelines/."""
HEAVY = {"torch", "transformers", "trl", "datasets", "vllm", "kfp", "kserve", "kubernetes"}


def sources(*roots: str) -> Iterator[tuple[str, Path]]:
    """The dotted name and the path of every module below the given roots, stubs left out."""
    for root in roots:
        for path in sorted((ROOT / root / "roundsmith").rglob("*.py")):
            if "_pb2" not in path.name:
                parts = path.relative_to(ROOT / root).with_suffix("").parts
                yield ".".join(parts).removesuffix(".__init__"), path


def imports(source: str) -> set[str]:
    """Every module that the source imports, wherever it does, and `a.b` for `from a import b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(level=0, module=str(module), names=aliases):
                names |= {f"{module}.{alias.name}" for alias in aliases}
            case ast.ImportFrom(level=level) if level:
                raise AssertionError(f"line {node.lineno}: a relative import; write it absolute")
    return names


def unit(module: str) -> str:
    """`executor` for `roundsmith.executor.judge`; empty for what is not ours."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "roundsmith" else ""


def layer_problems(module: str, source: str) -> list[str]:
    """The imports of a module that go up, one line each."""
    own = LAYER_BY_UNIT[unit(module)]
    found = []
    for name in sorted(imports(source)):
        target = unit(name)
        if target and target != "sandbox" and LAYER_BY_UNIT[target] > own:
            found.append(f"{module} imports {name}, which stands above it")
    return found


def outside_stdlib(source: str) -> set[str]:
    """The imports of a sandbox module that neither Python nor the sandbox itself provides."""
    allowed = set(sys.stdlib_module_names)
    return {
        name
        for name in imports(source)
        if name.partition(".")[0] not in allowed and unit(name) != "sandbox"
    }


def test_every_module_has_a_layer() -> None:
    units = {unit(name) for name, _ in sources("services", "pipelines")}
    assert units <= set(LAYER_BY_UNIT), "give what is new a layer in LAYERS and in CONTRIBUTING.md"


def test_services_and_pipelines_hold_their_own_layers() -> None:
    services = {unit(name) for name, _ in sources("services")}
    pipelines = {unit(name) for name, _ in sources("pipelines")}
    assert all(LAYER_BY_UNIT[name] < FOUNDATIONS for name in services)
    assert all(LAYER_BY_UNIT[name] >= FOUNDATIONS for name in pipelines)


def test_no_module_imports_from_above() -> None:
    found = []
    for name, path in sources("services", "pipelines"):
        found += layer_problems(name, path.read_text())
    assert found == []


def test_the_sandbox_imports_only_the_standard_library() -> None:
    found = {name: outside_stdlib(path.read_text()) for name, path in sources("sandbox-image")}
    assert found, "the sandbox has no modules"
    # A zygote of the profile `scientific` imports it, which has both; nothing else does.
    assert found.pop("roundsmith.sandbox.arrays") == {"numpy", "pandas"}
    assert not {name: outside for name, outside in found.items() if outside}


def test_kfp_is_imported_only_by_the_round_and_the_platforms() -> None:
    users = {
        unit(name)
        for name, path in sources("services", "pipelines", "sandbox-image")
        if any(used.partition(".")[0] == "kfp" for used in imports(path.read_text()))
    }
    assert users <= {"round", "platform"}


def test_a_recipe_reaches_the_world_only_through_its_session() -> None:
    beside = {"lab", "report", "steps", "store", "training"}
    foreign = {"asyncio", "grpc", "io", "os", "pathlib", "shutil", "socket", "subprocess"} | HEAVY
    for name, path in sources("pipelines"):
        if unit(name) == "recipes":
            used = imports(path.read_text())
            assert not {unit(other) for other in used} & beside, name
            assert not {other.partition(".")[0] for other in used} & foreign, name


def test_the_map_for_contributors_is_true() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"^(\S+)  ", text.split("## Map")[1].split("```")[1], re.MULTILINE))
    assert named, "the map is gone"
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    held = {
        f"{path.relative_to(ROOT)}{'/' if path.is_dir() else ''}"
        for root in ("services", "pipelines", "sandbox-image")
        for path in (ROOT / root / "roundsmith").iterdir()
        if path.suffix == ".py" or any(path.rglob("*.py"))
    }
    assert sorted(held - named) == [], "give what is new a line in the map"


def test_the_command_line_loads_nothing_heavy() -> None:
    if find_spec("roundsmith.cli") is None:
        pytest.skip("roundsmith.cli is not written")
    code = (
        "import sys; from typer.testing import CliRunner; from roundsmith import cli; "
        "CliRunner().invoke(cli.app, ['--help']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "typer" in loaded
    assert not loaded & (HEAVY | {"grpc", "numpy", "pandas", "pyarrow", "scipy"})


def test_a_run_begins_without_what_its_services_load() -> None:
    code = "import sys, roundsmith.commands.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "scipy.special" in loaded
    assert not loaded & (HEAVY | {"pandas", "scipy.optimize", "scipy.stats", "sympy"})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("roundsmith.types.tasks", "from roundsmith.wire import to_proto"),
        ("roundsmith.executor.judge", "def f():\n    import roundsmith.recipes.gift"),
        ("roundsmith.serve", "from roundsmith import steps"),
        ("roundsmith.recipes.gift", "import roundsmith.round"),
        ("roundsmith.clients", "from roundsmith.generator.engine import Engine"),
    ],
)
def test_an_import_from_above_is_found(module: str, source: str) -> None:
    assert len(layer_problems(module, source)) == 1
    assert layer_problems("roundsmith.cli", source) == []


def test_a_foreign_import_in_the_sandbox_is_found() -> None:
    source = (
        "import os, numpy\nfrom roundsmith import errors\nfrom roundsmith.sandbox import limits"
    )
    assert outside_stdlib(source) == {"numpy", "roundsmith.errors"}


def test_a_relative_import_is_found() -> None:
    with pytest.raises(AssertionError, match="line 1"):
        imports("from . import judge")


def test_a_service_begins_without_the_steps_of_a_run() -> None:
    starts = ", ".join(f"roundsmith.{name}.start" for name in ("executor", "generator", "scorer"))
    code = f"import sys, roundsmith.commands.serve, {starts}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "grpc" in loaded
    assert not loaded & (HEAVY | {"pandas", "pyarrow", "roundsmith.steps", "scipy"})
