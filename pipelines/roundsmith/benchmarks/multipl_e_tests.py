"""The tests of MultiPL-E's languages, made to say a word when they came to their end.

What a program prints while it is tested is dropped, so that the word alone is judged.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from roundsmith.benchmarks.problems import BadField, shown

_CPP_MAIN = re.compile(r"int\s+main\s*\([^)]*\)\s*\{")
_GO_TEST = re.compile(r"^func\s+(Test\w*)\s*\(\s*\w+\s+\*testing\.T\s*\)", re.MULTILINE)
_JAVA_MAIN = re.compile(r"static\s+void\s+main\s*\(\s*String\s*\[\]\s*\w+\s*\)")


class Language(NamedTuple):
    """How one language is run."""

    profile: str
    fence: str
    tested: Callable[[str, str], str]
    """The tests, so that they end with a word. Raises BadField for tests of another form."""
    case: re.Pattern[str]
    """The line of one assert: the function that it calls, and what follows from the bracket on."""
    branch: tuple[str, str, str]
    """What runs the lines between the first two where there is standard input, and else those
    between the last two.
    """
    replaced: tuple[tuple[str, str], ...] = ()
    """What is replaced in a program, by regular expression."""


def _cpp(tests: str, word: str) -> str:
    """`main` takes standard output away while it tests, and gives it the word at its end."""
    found = _CPP_MAIN.search(tests)
    last = tests.rstrip()
    if found is None or not last.endswith("}"):
        raise BadField("tests", shown(tests), "a function main that ends them")
    before, inside = tests[: found.start()], last[found.end() : -1]
    return (
        f"{before}#include <unistd.h>\nint main() {{\n    int kept_output = dup(1);\n"
        "    close(1);\n"
        f'{inside}\n    return write(kept_output, "{word}\\n", {len(word) + 1}) < 0;\n}}\n'
    )


def _javascript(tests: str, word: str) -> str:
    return (
        "const keptOutput = process.stdout.write.bind(process.stdout);\n"
        f"process.stdout.write = () => true;\n{tests.rstrip()}\n"
        f"keptOutput({json.dumps(word)} + '\\n');\n"
    )


def _go(tests: str, word: str) -> str:
    """A `main` does what `go test` would: the package `testing` runs the test functions."""
    names = _GO_TEST.findall(tests)
    if not names:
        raise BadField("tests", shown(tests), "a function TestName(t *testing.T)")
    calls = "".join(f"        {name}(t)\n" for name in names)
    return (
        f"{tests.rstrip()}\n\nfunc main() {{\n    keptOutput := kept_os.Stdout\n"
        "    kept_os.Stdout = nil\n"
        "    all := func(_, _ string) (bool, error) { return true, nil }\n"
        f"    tests := func(t *testing.T) {{\n{calls}"
        f'        if !t.Failed() {{\n            keptOutput.WriteString("{word}\\n")\n'
        "        }\n    }\n"
        '    testing.Main(all, []testing.InternalTest{{Name: "tests", F: tests}}, nil, nil)\n}\n'
    )


def _java(tests: str, word: str) -> str:
    """A class `Main` switches the asserts of `Problem` on before that is loaded, and calls it."""
    if not _JAVA_MAIN.search(tests):
        raise BadField("tests", shown(tests), "a method main(String[])")
    return (
        f"{tests.rstrip()}\n{_PAIR}\nclass Main {{\n"
        "    public static void main(String[] args) throws Exception {\n"
        "        java.io.PrintStream keptOutput = System.out;\n"
        "        System.setOut(new java.io.PrintStream(java.io.OutputStream.nullOutputStream()));\n"
        "        Main.class.getClassLoader().setDefaultAssertionStatus(true);\n"
        f'        Problem.main(args);\n        keptOutput.println("{word}");\n    }}\n}}\n'
    )


# Rows import a library of tuples and use its pairs; this stands in for those.
_PAIR = """
final class Pair<A, B> implements Comparable<Pair<A, B>>, Iterable<Object> {
    private final A first;
    private final B second;
    Pair(A first, B second) { this.first = first; this.second = second; }
    static <A, B> Pair<A, B> with(A first, B second) { return new Pair<>(first, second); }
    A getValue0() { return first; }
    B getValue1() { return second; }
    Object getValue(int at) { return toList().get(at); }
    int getSize() { return 2; }
    <C> Pair<C, B> setAt0(C value) { return with(value, second); }
    <C> Pair<A, C> setAt1(C value) { return with(first, value); }
    boolean contains(Object value) { return toList().contains(value); }
    java.util.List<Object> toList() { return java.util.Arrays.asList(first, second); }
    Object[] toArray() { return toList().toArray(); }
    @Override public java.util.Iterator<Object> iterator() { return toList().iterator(); }
    @Override public int hashCode() { return toList().hashCode(); }
    @Override public String toString() { return toList().toString(); }
    @Override public boolean equals(Object other) {
        return other instanceof Pair<?, ?> pair && toList().equals(pair.toList());
    }
    @SuppressWarnings("unchecked") private static int compare(Object one, Object other) {
        return ((Comparable<Object>) one).compareTo(other);
    }
    @Override public int compareTo(Pair<A, B> other) {
        int order = compare(first, other.first);
        return order != 0 ? order : compare(second, other.second);
    }
}
"""

LANGUAGES = {
    "cpp": Language(
        "cpp",
        "cpp",
        _cpp,
        re.compile(r"\s*assert\((candidate)(\(.*)"),
        ("    if (std::cin.peek() != EOF) {", "    } else {", "    }"),
    ),
    "go": Language(
        "go",
        "go",
        _go,
        re.compile(r"\s*\{ actual: (candidate)(\(.*)"),
        (
            "   }\n   if n, _ := kept_os.Stdin.Read(make([]byte, 1)); n > 0 { tests = []test{",
            "   } } else { tests = []test{",
            "   } }\n   _ = []test{",
        ),
        ((r"(?m)^package\s+\w+", 'package main; import kept_os "os"'),),
    ),
    "java": Language(
        "java",
        "java",
        _java,
        re.compile(r"\s*assert\((\w+)(\(.*)"),
        ("    if (new java.util.Scanner(System.in).hasNext()) {", "    } else {", "    }"),
        ((r"(?m)^import\s+org\.javatuples\.\S+;", ""),),
    ),
    "js": Language(
        "node",
        "javascript",
        _javascript,
        re.compile(r"\s*assert\.deepEqual\((candidate)(\(.*)"),
        ("  if (require('node:fs').readFileSync(0).length > 0) {", "  } else {", "  }"),
    ),
}
