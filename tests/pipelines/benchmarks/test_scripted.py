"""DS-1000 and MultiPL-E: the benchmark's own script judges, in rows of our own writing."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roundsmith.benchmarks.asserted import hidden_first, shown_tests
from roundsmith.benchmarks.load import load_tasks
from roundsmith.benchmarks.scripts import runnable
from roundsmith.benchmarks.verbatim import profile_of, stops_of
from roundsmith.errors import ConfigError
from roundsmith.executor.pool import Pool
from roundsmith.executor.settings import ExecutorSettings
from roundsmith.recipes.styles import ChatStyle, CompletionStyle
from roundsmith.types import ExecuteItem, Program, Split, Task
from roundsmith.verdicts import Verdict

CONTEXT = """
import copy
import numpy as np

def generate_test_case(test_case_id):
    values = np.arange(3 * test_case_id)
    return values, copy.deepcopy(values)[::-1]

exec_context = '''
import numpy as np
values = test_input
[insert]
'''

def test_execution(solution: str):
    code = exec_context.replace("[insert]", solution)
    for number in (1, 2):
        test_input, expected = generate_test_case(number)
        env = {"test_input": test_input}
        exec(code, env)
        assert (env["result"] == expected).all()

def test_string(solution: str):
    assert "for" not in solution
"""
DS1000: dict[str, Any] = {
    "prompt": "Problem:\nTurn the array `values` around.\nA:\n<code>\nvalues = ...\n"
    "</code>\nresult = ... # put solution in this variable\nBEGIN SOLUTION\n<code>\n",
    "reference_code": "result = values[::-1]",
    "code_context": CONTEXT,
    "metadata": {"problem_id": 7, "library": "Numpy", "perturbation_type": "Origin"},
}
CPP = {
    "name": "HumanEval_900_doubled",
    "language": "cpp",
    "prompt": "#include<assert.h>\n#include<bits/stdc++.h>\n// Twice a number.\n"
    "// >>> doubled((2))\n// (4)\nlong doubled(long n) {\n",
    "tests": "}\nint main() {\n    auto candidate = doubled;\n    assert(candidate((2)) == (4));\n"
    "    assert(candidate((5)) == (10));\n}\n",
    "stop_tokens": ["\n}"],
}
GO: dict[str, Any] = {
    "name": "HumanEval_900_doubled",
    "language": "go",
    "prompt": 'package doubled_test\n\nimport (\n    "testing"\n    "fmt"\n)\n\n'
    "// Twice a number.\nfunc doubled(n int) int {\n",
    "tests": "func TestDoubled(t *testing.T) {\n  candidate := doubled\n"
    "\tfor i, n := range []int{2, 5} {\n\t\tt.Run(fmt.Sprint(i), func(t *testing.T) {\n"
    '\t\t\tif candidate(n) != n+n {\n\t\t\t\tt.Errorf("saw %d", candidate(n))\n\t\t\t}\n'
    "\t\t})\n\t}\n}\n",
    "stop_tokens": ["\nfunc"],
}
JAVA: dict[str, Any] = {
    "name": "HumanEval_900_doubled",
    "language": "java",
    "prompt": "import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n"
    "    // Twice a number.\n    public static Pair<Long, String> doubled(long n) {\n",
    "tests": "    }\n    public static void main(String[] args) {\n"
    '    assert(doubled((2l)).equals((Pair.with(4l, "2"))));\n'
    '    assert(doubled((5l)).equals((Pair.with(10l, "5"))));\n    }\n\n}\n',
    "stop_tokens": ["\n    }\n"],
}
JS = {
    "name": "mbpp_900_doubled",
    "language": "js",
    "prompt": "//Twice a number.\nfunction doubled(n){\n",
    "tests": "const assert = require('node:assert');\n\nfunction test() {\n"
    "  let candidate = doubled;\n  assert.deepEqual(candidate(2),4);\n"
    "  assert.deepEqual(candidate(5),10);\n}\n\ntest();",
    "stop_tokens": ["\nfunction ", "\n/*", "\n//", "\nconsole.log"],
}


def read(row: dict[str, Any], folder: Path) -> Task:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (task,) = load_tasks(str(path)).tasks
    return task


def judged(task: Task, *completions: str) -> list[Verdict]:
    """The verdicts of programs that complete the task's prompt: of each, the first not to pass."""
    style = CompletionStyle()

    async def run() -> list[Verdict]:
        programs = tuple(
            Program(str(at), runnable(task, style.program(task, task.description, text)))
            for at, text in enumerate(completions)
        )
        item = ExecuteItem(task.task_id, programs, task.tests, profile=profile_of(task))
        async with Pool(ExecutorSettings(slots=1)) as pool:
            if why := pool.capabilities().missing_profiles.get(item.profile):
                pytest.skip(f"{item.profile}: {why}")
            found = [outcome async for outcome in pool.execute(item)]
        verdicts = [[o.verdict for o in found if o.code_id == each.code_id] for each in programs]
        return [next((v for v in of if v is not Verdict.PASS), Verdict.PASS) for of in verdicts]

    return asyncio.run(run())


def test_ds1000_is_judged_by_its_own_code_on_the_programs_text(tmp_path: Path) -> None:
    task = read(DS1000, tmp_path)
    assert (task.task_id, task.split, task.source) == ("ds1000/7", Split.FINAL, "ds-1000")
    assert CompletionStyle().code(task, task.description) == DS1000["prompt"]
    assert stops_of(task, ("\ndef",))[0] == "</code>"
    right, loop = "result = values[::-1]\n", "result = [x for x in values][::-1]\n"
    exits, loud = "raise SystemExit(0)\n", "print('x')\nresult = values[::-1]\n"
    seen = judged(task, right, "result = values\n", loop, exits, loud, "result = (\n")
    assert [verdict is Verdict.PASS for verdict in seen] == [True, False, False, False, True, False]


def test_multipl_es_cpp_must_reach_the_end_of_its_tests(tmp_path: Path) -> None:
    task = read(CPP, tmp_path)
    assert (task.entry_point, profile_of(task)) == ("doubled", "cpp")
    assert task.description.startswith("Twice a number.")
    loud = '    printf("x\\n"); std::cout << 1 << std::endl;\n    return 2 * n;'
    seen = judged(task, "    return 2 * n;", "    return n + 2;", "    exit(0);", loud, "    retur")
    assert [verdict is Verdict.PASS for verdict in seen] == [True, False, False, True, False]
    assert seen[-1] is Verdict.COMPILE_ERROR


def test_multipl_es_javascript_must_reach_the_end_of_its_tests(tmp_path: Path) -> None:
    task = read(JS, tmp_path)
    right = "  console.log(n);\n  return 2 * n;\n}\n"
    seen = judged(task, right, "  return n + 2;\n}\n", "  process.exit(0);\n}\n")
    assert [verdict is Verdict.PASS for verdict in seen] == [True, False, False]


def test_multipl_es_go_must_reach_the_end_of_its_tests(tmp_path: Path) -> None:
    task = read(GO, tmp_path)
    right = "    return 2 * n\n}\n"
    loud = '    fmt.Println("x")\n    return 2 * n\n}\n'
    panics = '    panic("no")\n}\n'
    seen = judged(task, right, "    return n + 2\n}\n", panics, loud, "    retur\n}\n")
    assert [verdict is Verdict.PASS for verdict in seen] == [True, False, False, True, False]
    assert seen[-1] is Verdict.COMPILE_ERROR


def test_multipl_es_java_must_reach_the_end_of_its_tests(tmp_path: Path) -> None:
    task = read(JAVA, tmp_path)
    right = '        System.out.println("x");\n        return new Pair<>(2 * n, "" + n);'
    wrong = '        return Pair.with(n + 2, "" + n);'
    leaves = "        System.exit(0); return null;"
    seen = judged(task, right, wrong, leaves, "        retur")
    assert [verdict is Verdict.PASS for verdict in seen] == [True, False, False, False]
    assert seen[-1] is Verdict.COMPILE_ERROR


GO_TABLE = GO | {
    "prompt": GO["prompt"].replace("number.\n", "number.\n// >>> doubled(2)\n// 4\n"),
    "tests": "func TestDoubled(t *testing.T) {\n  candidate := doubled\n"
    "\ttype test struct {\n\t\tactual   interface{}\n\t\texpected interface{}\n\t}\n"
    "   tests := []test{\n     { actual: candidate(2), expected: 4 },\n"
    "     { actual: candidate(5), expected: 10 },\n   }\n\n\tfor _, tc := range tests {\n"
    '\t\tif fmt.Sprint(tc.actual) != fmt.Sprint(tc.expected) {\n\t\t\tt.Error("no")\n\t\t}\n'
    "\t}\n}\n",
}
JAVA_SHOWN = JAVA | {
    "prompt": JAVA["prompt"].replace("number.\n", "number.\n    // >>> doubled((2l))\n")
}
JS_SHOWN = JS | {"prompt": f"//Twice a number.\n// >>> doubled(2)\n// 4\n{JS['prompt'][17:]}"}


@pytest.mark.parametrize(
    ("row", "right", "by_rote", "otherwise"),
    [
        (CPP, "    return 2 * n;", "    return 4;", "    return n == 5 ? 10 : 0;"),
        (
            GO_TABLE,
            "    return 2 * n\n}\n",
            '    if n == 5 { panic("no") }\n    return 4\n}\n',
            "    return 10\n}\n",
        ),
        (
            JAVA_SHOWN,
            '        return Pair.with(2 * n, "" + n);',
            '        return Pair.with(4l, "2");',
            '        return Pair.with(10l, "5");',
        ),
        (JS_SHOWN, "  return 2 * n;\n}\n", "  return 4;\n}\n", "  return 10;\n}\n"),
    ],
)
def test_multipl_es_asserts_that_the_prompt_shows_are_judged_apart(
    row: dict[str, Any], right: str, by_rote: str, otherwise: str, tmp_path: Path
) -> None:
    task = read(row, tmp_path)
    assert [test.test_id for test in hidden_first(task).tests] == ["tests", "shown"]
    assert shown_tests(task) == {"shown"}
    hidden, shown = (
        [verdict is Verdict.PASS for verdict in judged(replace(task, tests=(test,)), *programs)]
        for programs in [(right, by_rote, otherwise)]
        for test in task.tests
    )
    assert hidden == [True, False, True]
    assert shown == [True, True, False]


VECTOR = "std::vector<long>({(long)1, (long)-2})"


@pytest.mark.parametrize(
    ("comment", "ids"),
    [
        (f"// >>> doubled(({VECTOR}), (true))", ["tests", "shown"]),
        ("// For example, doubled([1, -2], True) is 4, doubled([], False) is 0.", ["shown"]),
        ("// doubled([1, -2], False)", ["tests"]),
        ("// undoubled([1, -2], True)", ["tests"]),
        ("// >>> doubled([1, -2], True", ["tests"]),
        ("// >>> doubled([], n)", ["tests"]),
    ],
)
def test_an_assert_is_shown_by_the_same_call_or_the_same_literals(
    comment: str, ids: list[str], tmp_path: Path
) -> None:
    tests = (
        "}\nint main() {\n    auto candidate = doubled;\n"
        f"    assert(candidate(({VECTOR}), (true)) == (4));\n"
        "    assert(candidate((std::vector<long>()), (false)) == (0));\n}\n"
    )
    prompt = f"{comment}\nlong doubled(std::vector<long> n, bool all) {{\n"
    task = read({**CPP, "prompt": prompt, "tests": tests}, tmp_path)
    assert [test.test_id for test in task.tests] == ids


@pytest.mark.parametrize("row", [CPP, GO, JAVA])
def test_tests_of_another_form_are_refused(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tests: saw .* expected a (function|method)"):
        read({**row, "tests": "x"}, tmp_path)


def test_a_chat_model_is_asked_with_the_published_prompt(tmp_path: Path) -> None:
    prompt = ChatStyle().code(read(CPP, tmp_path), "")
    assert not isinstance(prompt, str)
    assert [turn.content for turn in prompt] == [CPP["prompt"], f"```cpp\n{CPP['prompt']}"]  # type: ignore[union-attr]  # chat


def test_another_language_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="language: saw 'rs', expected one of cpp, go, java, js"):
        read({**CPP, "language": "rs"}, tmp_path)


def test_a_context_without_a_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"code_context: .* expected a function test_execution"):
        read({**DS1000, "code_context": "import numpy"}, tmp_path)


def test_gos_rows_are_published_under_the_end_of_their_files_names(tmp_path: Path) -> None:
    task, named = read(GO | {"language": "go_test.go"}, tmp_path), read(GO, tmp_path)
    assert task == named
