"""Hypothesis strategies for every row that the store keeps."""

from hypothesis import strategies as st

from roundsmith.store import DroppedRow, EvalRecord, TaskResult
from roundsmith.types import (
    AssertTest,
    CallTest,
    ChatMessage,
    Example,
    Group,
    JudgedAt,
    Kind,
    Outcome,
    OutputRule,
    OwnLimits,
    Pair,
    Phase,
    Provenance,
    Sample,
    Sampling,
    Score,
    Split,
    StdioTest,
    Task,
    UnittestTest,
)
from roundsmith.verdicts import Verdict

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
reals = st.floats(allow_nan=False)
counts = st.integers(0, 2**63 - 1)

hashable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.sets(hashable, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
    ),
    max_leaves=6,
)
# Rows are compared by ==, which a NaN never satisfies; `values` alone covers NaN.
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | reals | text | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(text, inner, max_size=3)
    ),
    max_leaves=5,
)

limits = st.none() | st.builds(
    OwnLimits,
    cpu_s=st.none() | reals,
    memory_bytes=st.none() | counts,
    processes=st.none() | counts,
    wall_factor=st.none() | reals,
)
tests = (
    st.builds(
        CallTest,
        test_id=text,
        entry_point=text,
        args=st.lists(plain_values, max_size=2).map(tuple),
        expected=plain_values,
        kwargs=st.dictionaries(text, plain_values, max_size=2),
        tolerance=st.none() | reals,
        relative_tolerance=st.none() | reals,
        limits=limits,
    )
    | st.builds(AssertTest, test_id=text, source=text, limits=limits)
    | st.builds(UnittestTest, test_id=text, source=text, limits=limits)
    | st.builds(
        StdioTest,
        test_id=text,
        stdin=text,
        stdout=text,
        rule=st.sampled_from(OutputRule),
        tolerance=st.none() | reals,
        relative_tolerance=st.none() | reals,
        limits=limits,
    )
)
tasks = st.builds(
    Task,
    task_id=text,
    split=st.sampled_from(Split),
    description=text,
    head=text,
    entry_point=text,
    tests=st.lists(tests, max_size=3).map(tuple),
    reference=st.none() | text,
    setup=text,
    example=st.none() | text,
    source=text,
    licence=text,
    meta=st.dictionaries(text, text, max_size=3),
)
prompts = (
    text
    | st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple)
    | st.lists(st.builds(ChatMessage, role=text, content=text), min_size=1, max_size=3).map(tuple)
)
samplings = st.builds(
    Sampling,
    max_tokens=counts,
    temperature=reals,
    top_p=reals,
    top_k=counts,
    stop=st.lists(text, max_size=3).map(tuple),
)
provenances = st.builds(
    Provenance,
    task_id=text,
    recipe=text,
    round=counts,
    weights_sha256=text,
    seed=counts,
    sampling=st.none() | samplings,
    parents=st.lists(text, max_size=3).map(tuple),
    tier=text,
    image=text,
    source=text,
    licence=text,
)
samples = st.builds(
    Sample,
    sample_id=text,
    kind=st.sampled_from(Kind),
    step=counts,
    index=counts,
    prompt=prompts,
    completion=text,
    text=text,
    logprob_sum=reals,
    prompt_tokens=counts,
    token_count=counts,
    finish_reason=text,
    provenance=provenances,
)
outcomes = st.builds(
    Outcome,
    code_id=text,
    test_id=text,
    verdict=st.sampled_from(Verdict),
    judge=st.sampled_from(JudgedAt),
    tier=text,
    image=text,
    near_limit=st.booleans(),
    detail=text,
    phase=st.sampled_from(Phase),
)
scores = st.builds(
    Score,
    logprob_sum=reals,
    token_count=counts,
    weights_sha256=text,
    p_yes=st.none() | reals,
    prompt_tokens=counts,
)
groups = st.builds(
    Group,
    task=tasks,
    samples=st.lists(samples, max_size=2).map(tuple),
    outcomes=st.lists(outcomes, max_size=3).map(tuple),
    scores=st.dictionaries(text, scores, max_size=3),
)
examples = st.builds(
    Example, example_id=text, prompt=prompts, completion=text, provenance=provenances
)
pairs = st.builds(
    Pair, pair_id=text, prompt=prompts, chosen=text, rejected=text, provenance=provenances
)
records = st.builds(
    EvalRecord,
    task_id=text,
    split=st.sampled_from(Split),
    sample_id=text,
    index=counts,
    solved=st.booleans(),
    strict=st.booleans(),
    tests=st.lists(text, max_size=3).map(tuple),
    verdicts=st.lists(st.sampled_from(Verdict), max_size=3).map(tuple),
    text=text,
    prompt_tokens=counts,
    tokens=counts,
    seed=st.none() | counts,
    weights_sha256=text,
    tier=text,
    image=text,
)
results = st.builds(
    TaskResult,
    task_id=text,
    split=st.sampled_from(Split),
    of=text,
    temperature=st.floats(allow_nan=False),
    samples=counts,
    solved=counts,
    strict=counts,
)
dropped = st.builds(DroppedRow, row_id=text, task_id=text, why=text, held_out=text, evidence=text)
