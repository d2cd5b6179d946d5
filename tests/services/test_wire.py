"""Every value survives the round trip over the wire, bit for bit."""

import math
import sys
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roundsmith import types, wire
from roundsmith.errors import ConfigError
from roundsmith.types import Value
from roundsmith.v1 import executor_pb2, generator_pb2, pair_builder_pb2, task_pb2, value_pb2
from roundsmith.verdicts import Label, Verdict

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | text
    | st.binary(max_size=8)
    | st.frozensets(st.integers(), max_size=3)
    | st.sets(text, max_size=3)
)
python_values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(text | st.integers() | st.tuples(st.integers(), text), inner, max_size=3)
    ),
    max_leaves=8,
)
seconds = (
    st.integers(0, 10**13)
    .map(lambda nanos: nanos / 1e9)
    .filter(lambda s: round(s * 1e9) / 1e9 == s)
)
uint32 = st.integers(0, 2**32 - 1)
uint63 = st.integers(0, 2**63 - 1)
single = st.floats(width=32, allow_nan=False)
own_limits = st.none() | st.builds(
    types.OwnLimits,
    cpu_s=st.none() | seconds,
    memory_bytes=st.none() | uint63,
    processes=st.none() | uint32,
    wall_factor=st.none() | st.floats(allow_nan=False),
)
tests = (
    st.builds(
        types.CallTest,
        test_id=text,
        entry_point=text,
        args=st.lists(python_values, max_size=2).map(tuple),
        expected=python_values,
        kwargs=st.dictionaries(text, python_values, max_size=2),
        tolerance=st.none() | st.floats(allow_nan=False),
        relative_tolerance=st.none() | st.floats(allow_nan=False),
        limits=own_limits,
    )
    | st.builds(types.AssertTest, text, text, own_limits)
    | st.builds(types.UnittestTest, text, text, own_limits)
    | st.builds(
        types.StdioTest,
        text,
        text,
        text,
        st.sampled_from(types.OutputRule),
        st.none() | st.floats(allow_nan=False),
        st.none() | st.floats(allow_nan=False),
        own_limits,
    )
)
tasks = st.builds(
    types.Task,
    task_id=text,
    split=st.sampled_from(types.Split),
    description=text,
    head=text,
    entry_point=text,
    tests=st.lists(tests, max_size=2).map(tuple),
    reference=st.none() | text,
    setup=text,
    example=st.none() | text,
    source=text,
    licence=text,
    meta=st.dictionaries(text, text, max_size=2),
)
samplings = st.builds(
    types.Sampling,
    max_tokens=uint32,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    top_k=uint32,
    stop=st.lists(text, max_size=2).map(tuple),
    min_p=st.floats(0, 1),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    repetition_penalty=st.floats(0, 2),
    constraint=st.none()
    | st.sampled_from(["regex", "json_schema", "grammar"]).flatmap(
        lambda kind: st.builds(types.Constraint, **{kind: text})
    ),
)
prompts = (
    text
    | st.lists(uint32, max_size=3).map(tuple)
    | st.lists(st.builds(types.ChatMessage, text, text), min_size=1, max_size=2).map(tuple)
)
generate_items = st.builds(
    types.GenerateItem, text, prompts, samplings, uint63, uint32, uint32, text, st.booleans()
)
ids = st.lists(uint32, max_size=3).map(tuple)
logprobs = st.lists(single, max_size=3).map(tuple)
tops = st.lists(st.builds(types.TopLogprobs, ids, logprobs), max_size=2).map(tuple)
completions = st.builds(
    types.Completion, uint32, text, ids, logprobs, text, uint32, text, top_logprobs=tops
)
deltas = st.builds(types.CompletionDelta, uint32, uint32, ids, logprobs, text)
score_items = st.builds(
    types.ScoreItem,
    text,
    prompts,
    text | st.lists(uint32, max_size=3).map(tuple),
    st.booleans(),
    st.booleans(),
)
scores = st.builds(
    types.Score,
    st.floats(allow_nan=False),
    uint32,
    text,
    st.none() | st.floats(0, 1),
    uint32,
)
limits = st.builds(
    types.Limits,
    cpu_s=seconds,
    memory_bytes=uint63,
    output_bytes=uint63,
    file_bytes=uint63,
    processes=uint32,
    wall_factor=st.floats(1, 9),
)
execute_items = st.builds(
    types.ExecuteItem,
    text,
    st.lists(st.builds(types.Program, text, text, text, own_limits), max_size=2).map(tuple),
    st.lists(tests, max_size=2).map(tuple),
    st.lists(st.tuples(text, text), max_size=2).map(tuple),
    limits,
    text,
    st.booleans(),
)
outcomes = st.builds(
    types.Outcome,
    text,
    text,
    st.sampled_from(Verdict),
    st.sampled_from(types.JudgedAt),
    text,
    text,
    st.booleans(),
    text,
    seconds,
    seconds,
    st.sampled_from(types.Phase),
    uint32,
)
provenances = st.builds(
    types.Provenance,
    text,
    text,
    uint32,
    text,
    uint63,
    st.none() | samplings,
    st.lists(text, max_size=2).map(tuple),
    text,
    text,
)
samples = st.builds(
    types.Sample,
    text,
    st.sampled_from(types.Kind),
    uint32,
    uint32,
    prompts,
    text,
    text,
    st.floats(allow_nan=False),
    uint32,
    uint32,
    text,
    provenances,
)
groups = st.builds(
    types.Group,
    tasks,
    st.lists(samples, max_size=2).map(tuple),
    st.lists(outcomes, max_size=2).map(tuple),
    st.dictionaries(text, scores, max_size=2),
)
examples = st.builds(types.Example, text, prompts, text, provenances)
pairs = st.builds(types.Pair, text, prompts, text, text, provenances)
everything = {
    "Task": tasks,
    "Sampling": samplings,
    "GenerateItem": generate_items,
    "Completion": completions,
    "CompletionDelta": deltas,
    "ScoreItem": score_items,
    "Score": scores,
    "Limits": limits,
    "ExecuteItem": execute_items,
    "Outcome": outcomes,
    "Provenance": provenances,
    "Sample": samples,
    "Group": groups,
    "Example": examples,
    "Pair": pairs,
}


def same(a: Any, b: Any) -> bool:
    """Equal by type and value, NaN being the same as NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, dict):
        return len(a) == len(b) and all(k in b and same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@given(st.lists(samples, max_size=4), st.lists(outcomes, max_size=4))
@settings(max_examples=40, deadline=None)
def test_what_comes_together_is_each_as_alone(
    some: list[types.Sample], others: list[types.Outcome]
) -> None:
    group = pair_builder_pb2.Group()
    wire.add_messages(some, group.samples)
    wire.add_messages(others, group.outcomes)
    assert list(group.samples) == list(map(wire.to_message, some))
    assert list(group.outcomes) == list(map(wire.to_message, others))
    assert same(wire.from_messages(types.Sample, group.samples), some)
    assert same(wire.from_messages(types.Outcome, group.outcomes), others)


@given(st.lists(examples | pairs, max_size=5))
@settings(max_examples=40, deadline=None)
def test_rows_of_both_kinds_keep_their_order(rows: list[types.Row]) -> None:
    message = wire.rows_to_message(rows)
    again = pair_builder_pb2.RowList.FromString(message.SerializeToString())
    assert same(wire.rows_from_message(again), rows)


@pytest.mark.parametrize("name", sorted(everything))
def test_every_value_survives_the_round_trip(name: str) -> None:
    @given(everything[name])
    @settings(max_examples=40, deadline=None)
    def survives(value: Any) -> None:
        message = wire.to_message(value)
        again = type(message).FromString(message.SerializeToString())
        assert same(wire.from_message(type(value), again), value)

    survives()


def test_every_dataclass_of_types_is_tested_or_part_of_one_that_is() -> None:
    parts = {"CallTest", "AssertTest", "UnittestTest", "StdioTest"}
    parts |= {"ChatMessage", "Program", "OwnLimits"}
    parts |= {"Constraint", "TopLogprobs"}
    known = {n for n in types.__all__ if is_dataclass(getattr(types, n))}
    assert known == set(everything) | parts


@given(python_values)
@settings(deadline=None)
def test_python_values_keep_their_types(value: Value) -> None:
    message = value_pb2.Value.FromString(wire.value_to_message(value).SerializeToString())
    assert same(wire.value_from_message(message), value)


def test_a_dict_keeps_its_order() -> None:
    value = {"b": 1, "a": 2}
    assert list(wire.value_from_message(wire.value_to_message(value))) == ["b", "a"]


@pytest.mark.parametrize("value", [object(), 1j, "\ud800", [{"a": range(3)}], True.__class__])
def test_what_can_not_cross_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigError, match="expected"):
        wire.value_to_message(value)


def test_an_int_of_more_digits_than_python_reads_is_refused_and_one_at_the_limit_arrives() -> None:
    limit = sys.get_int_max_str_digits()
    most = 10**limit - 1
    assert wire.value_from_message(wire.value_to_message(-most)) == -most
    with pytest.raises(ConfigError, match=f"at most {limit} decimal digits"):
        wire.value_to_message([10**limit])


def test_a_value_deeper_than_the_limit_is_refused_and_one_at_the_limit_arrives() -> None:
    deep: Value = 0
    for _ in range(wire.MAX_VALUE_DEPTH):
        deep = {"k": deep}
    task = types.Task("t", types.Split.TRAIN, "", "", "f", (types.CallTest("1", "f", (deep,), 0),))
    message = wire.to_message(types.Group(task, ()))
    assert wire.from_message(types.Group, type(message).FromString(message.SerializeToString()))
    with pytest.raises(ConfigError, match="levels"):
        wire.value_to_message([deep])


def test_a_verdict_of_a_later_server_has_no_label() -> None:
    message = executor_pb2.Outcome(code_id="c", test_id="t", judge=executor_pb2.JUDGED_AT_OUTSIDE)
    raw = message.SerializeToString() + bytes([3 << 3, 99])  # field 3, verdict 99
    outcome = wire.from_message(types.Outcome, executor_pb2.Outcome.FromString(raw))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.label is Label.NONE


def test_a_message_without_its_oneof_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of"):
        wire.test_from_message(task_pb2.Test(test_id="1"))
    with pytest.raises(ConfigError, match="expected an example or a pair"):
        wire.rows_from_message(pair_builder_pb2.RowList(rows=[pair_builder_pb2.Row()]))
    with pytest.raises(ConfigError, match="expected one kind"):
        wire.value_from_message(value_pb2.Value())
    with pytest.raises(ConfigError, match="int_value"):
        wire.value_from_message(value_pb2.Value(int_value="ten"))


def test_a_part_of_nothing_but_zeros_is_there() -> None:
    item = types.ExecuteItem("", (), (), limits=types.Limits(0.0, 0, 0, 0, 0, 0.0))
    example = types.Example("", (), "", types.Provenance("", "", 0))
    for value in (item, example):
        message = wire.to_message(value)
        assert (
            wire.from_message(type(value), type(message).FromString(message.SerializeToString()))
            == value
        )


def test_what_a_caller_leaves_out_of_sampling_is_the_default_and_a_zero_is_a_zero() -> None:
    absent = generator_pb2.Sampling(max_tokens=1)
    assert wire.from_message(types.Sampling, absent) == types.Sampling(1)
    zeros = generator_pb2.Sampling(max_tokens=1, temperature=0, top_p=0, repetition_penalty=0)
    greedy = types.Sampling(1, temperature=0.0, top_p=0.0, repetition_penalty=0.0)
    assert wire.from_message(types.Sampling, zeros) == greedy
    assert wire.to_message(greedy) == zeros != absent
