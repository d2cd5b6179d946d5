"""What keeps a verdict true, taken away one by one."""

from tests.sandbox.mutation import Mutation, without

EXCHANGE, ENDINGS = "sandbox/exchange.py", "executor/endings.py"
TESTER_SIDE, CROSSING = "sandbox/tester.py", "sandbox/crossing.py"
MIRROR, FILLING = "sandbox/mirror.py", "sandbox/filling.py"
ASKED = "executor/asked_asserts.py"
LEAVES = "return not names or all(leaves(setup, names) for setup in setups)"
ASKS_MORE = "if any(part.truth is not None or part.condition is not None for part in parts):"
LETTERS = '_ANSWERS = (b"A", b"E", b"N", b"D")'
CODEC, JUDGE = "sandbox/codec.py", "executor/judge.py"
CLAIMS = "        Verdict.FAIL,\n        Verdict.ERROR,\n        Verdict.COMPILE_ERROR,\n"
STRICT = 'if rule is Rule.PYTHON else ("L", name'
CONTRADICTS = "        return again\n    return _flaky(first, again)\n"
CLEAN = '.encode("utf-8", "replace").decode()'
COUNTED = "        self._load.begin(caller, plan.num_cells)\n"
FORGOTTEN = "            self._load.end(caller, plan.num_cells)\n"

VERDICTS = (
    Mutation(
        "a second to end",
        without(EXCHANGE, "self._children.ends(self._child, _ENDING_S)", "0"),
        (100,),
    ),
    Mutation(
        "killed from outside", without(ENDINGS, "if number == signal.SIGKILL:", "if False:"), (100,)
    ),
    Mutation(
        "an answer is needed",
        without(ENDINGS, "Verdict.EXITED_EARLY,\n}", "Verdict.PASS,\n}"),
        (63, 64),
    ),
    Mutation(
        "only failures are claimed",
        without(ENDINGS, CLAIMS, f"        Verdict.PASS,\n{CLAIMS}"),
        (93,),
    ),
    Mutation("only a tester asks", without(ENDINGS, " and question.kind == TESTER"), (96,)),
    Mutation(
        "names that were asked for",
        without(TESTER_SIDE, "if [name for name, _, _ in described] != names:", "if False:"),
        (66,),
    ),
    Mutation(
        "the setup's own imports",
        without(TESTER_SIDE, "given = imported(self._setup, names)", "given: dict[str, Any] = {}"),
        (66,),
    ),
    Mutation(
        "one name that a test is about",
        without(TESTER_SIDE, "if own or len(rivals) > 1:", "if False:"),
        (66,),
    ),
    Mutation(
        "calls that look around are not split",
        without("executor/asserts.py", " or call.func.id in _LOOK_AROUND"),
        (66,),
    ),
    Mutation("conditions mean Python's own", without(ASKED, LEAVES, "return True"), (66,)),
    Mutation("values alone are compared as bytes", without(ASKED, ASKS_MORE, "if False:"), (64,)),
    Mutation(
        "only the server asks as one that is trusted",
        without("sandbox/questions.py", LETTERS, f'{LETTERS[:-1]}, b"C", b"M", b"P")'),
        (75,),
    ),
    Mutation(
        "the test's own failure",
        without(TESTER_SIDE, "if any(issubclass(own, made) for own in self._raises):", "if False:"),
        (66,),
    ),
    Mutation(
        "too large is no exception",
        without(TESTER_SIDE, "raise self.failure(OVERSIZED, str(error)) from error", "raise"),
        (71,),
    ),
    Mutation(
        "sleep is counted",
        without("sandbox/wall.py", "max(0.0, now - self._mark - awake_s)", "0.0"),
        (2,),
    ),
    Mutation(
        "what is shown stays the test's",
        without(CROSSING, 'SHOWS = ("!contains", "!getitem", "!delitem")', "SHOWS = ()"),
        (102,),
    ),
    Mutation(
        "what is sent could be sent back",
        without(CROSSING, "    if not is_plain(value):\n", "    if False:\n"),
        (96,),
    ),
    Mutation(
        "rows that were agreed on",
        without(FILLING, "if not 0 <= first <= first + count <= len(columns[0]):", "if False:"),
        (102,),
    ),
    Mutation(
        "members are no two alike",
        without(FILLING, "if len(container) != len(columns[0]) and", "if False and"),
        (102,),
    ),
    Mutation(
        "members of a message are counted",
        without(MIRROR, "if self._num_rows > _MOST_ROWS:", "if False:"),
        (102,),
    ),
    Mutation(
        "what both hold is changed once",
        without(MIRROR, "!= len(changed):", "!= len(changed) and False:"),
        (102,),
    ),
    Mutation(
        "numbers of what both hold follow",
        without(MIRROR, "if type(first) is not int or first != self._held.next:", "if False:"),
        (102,),
    ),
    Mutation(
        "what both hold costs no label",
        without(MIRROR, "if self._held.work > _MOST_WORK:", "if False:"),
        (102,),
    ),
    Mutation(
        "a built-in's value is one",
        without("sandbox/based.py", "if type(own) is not base:", "if False:"),
        (65,),
    ),
    Mutation(
        "a built-in's own queries",
        without("sandbox/based.py", "query = name in _QUERIES and", "query = False and"),
        (65,),
    ),
    Mutation(
        "arithmetic of numbers",
        without("sandbox/based.py", "base in _NUMBERS and name in _ARITHMETIC", "False"),
        (65,),
    ),
    Mutation(
        "sets are compared here",
        without(TESTER_SIDE, 'if "assertSetEqual" in source:', "if False:"),
        (65,),
    ),
    Mutation(
        "what sets have in common",
        without(
            "sandbox/based.py",
            '| {"difference", "intersection", "symmetric_difference", "union"}',
            '| {"union"}',
        ),
        (65,),
    ),
    Mutation(
        "one value between two questions",
        without("sandbox/based.py", "if at != link.num_calls:", "if True:"),
        (65,),
    ),
    Mutation(
        "what never changes",
        without(
            "sandbox/based.py",
            "    if kind is None:\n",
            "    if kind is None:\n        return value\n    if False:\n",
        ),
        (65,),
    ),
    Mutation(
        "a failure ends the test",
        without(TESTER_SIDE, "self.failed = self.failed or made", "pass"),
        (96,),
    ),
    Mutation(
        "protocols of libraries",
        without("sandbox/remote.py", "if name.startswith(_OF_LIBRARIES) and", "if False and"),
        (96,),
    ),
    Mutation(
        "operators between two objects",
        without("sandbox/remote.py", " if isinstance(other, Remote | Based) else NotImplemented"),
        (65,),
    ),
    Mutation("size of a value", without(CODEC, "MAX_BYTES = 2**20", "MAX_BYTES = 2**27"), (71,)),
    Mutation("depth of a value", without(CODEC, "MAX_DEPTH = 64", "MAX_DEPTH = 2**20"), (71,)),
    Mutation(
        "types in a comparison",
        without(JUDGE, STRICT, STRICT.replace("rule is Rule.PYTHON", "True")),
        (65,),
    ),
    Mutation(
        "size of a failure",
        without(ENDINGS, "nodes(body, _MOST_CLAIM_BYTES)", "nodes(encode(decode(body)))")
        + without(
            ENDINGS,
            "import CodecError, Node, nodes",
            "import CodecError, Node, decode, encode, nodes",
        ),
        (90,),
    ),
    Mutation("size of a test", without("executor/asserts.py", "64 * 2**10", "2**40"), (92,)),
    Mutation(
        "contradictions",
        without("executor/alone.py", CONTRADICTS, "        return again\n    return again\n"),
        (74,),
    ),
    Mutation("words that can be sent", without("executor/execution.py", CLEAN), (94,)),
    Mutation(
        "cells are counted",
        without("executor/pool.py", COUNTED)
        + without("executor/pool.py", FORGOTTEN, "            pass\n"),
        (79,),
    ),
)
