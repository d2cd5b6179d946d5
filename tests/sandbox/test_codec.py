"""The strict codec: what goes in comes out, and bytes of an enemy never do harm."""

import math
from collections import Counter, OrderedDict
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roundsmith.sandbox.codec import CodecError, Lowered, Opaque, decode, encode, nodes
from roundsmith.sandbox.frames import FrameBuffer
from tests.nested import hashable, nested

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
)
HASHABLE = hashable(SCALARS, max_leaves=6)
VALUES = nested(SCALARS, HASHABLE, max_leaves=12)


def _types(value: object) -> object:
    if isinstance(value, list | tuple):
        return type(value), [_types(member) for member in value]
    if isinstance(value, dict):
        return dict, [(_types(k), _types(v)) for k, v in value.items()]
    return type(value)


@given(VALUES)
def test_every_value_survives_with_its_types(value: object) -> None:
    back = decode(encode(value))
    assert back == value
    assert _types(back) == _types(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_codec_error(content: bytes) -> None:
    try:
        value = decode(content)
    except CodecError:
        return
    # What does decode has one meaning: it encodes to something of the same meaning.
    assert repr(decode(encode(value))) == repr(value)


@given(VALUES, st.data())
def test_cut_or_lengthened_bytes_are_refused(value: object, data: st.DataObject) -> None:
    content = encode(value)
    cut = data.draw(st.integers(0, len(content) - 1))
    for broken in (content[:cut], content + b"N"):
        with pytest.raises(CodecError):
            nodes(broken)


def test_special_floats_cross() -> None:
    assert math.isnan(decode(encode(float("nan"))))
    assert decode(encode([float("inf"), float("-inf")])) == [math.inf, -math.inf]
    assert math.copysign(1, decode(encode(-0.0))) == -1


def test_a_subclass_crosses_by_its_own_base_value_not_by_what_it_says() -> None:
    class Color(IntEnum):
        RED = 1

    class Liar(dict[str, int]):
        def items(self) -> object:  # type: ignore[override]  # the lie
            return [("a", 2)]

    assert decode(encode(Color.RED)) == Lowered("Color", 1)
    assert decode(encode(Counter("aab"))) == Lowered("Counter", {"a": 2, "b": 1})
    assert decode(encode(OrderedDict(a=1))) == Lowered("OrderedDict", {"a": 1})
    assert decode(encode(Liar(a=1))) == Lowered("Liar", {"a": 1})


def test_anything_else_crosses_by_name_only() -> None:
    assert decode(encode(object())) == Opaque("object")
    assert decode(encode(iter([]))) == Opaque("list_iterator")


def test_cycles_depth_and_size_are_limited() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    wide: list[object] = ["x"]
    for _ in range(60):
        wide = [wide, wide]
    for value in (cycle, wide, "x" * 2**21, [0] * 2**20, 1 << 2**24, b"x" * 2**21):
        with pytest.raises(CodecError):
            encode(value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"?",
        b"l\xff\xff\xff\xff",
        b"i\x00\x00\x00\x00",
        b"s\x00\x00\x00\x01\xff",
        b"d\x00",
        b"l\x00\x00\x00\x01" * 100,
    ],
)
def test_malformed_bytes_are_refused_without_much_work(content: bytes) -> None:
    with pytest.raises(CodecError):
        nodes(content)


def test_members_that_can_not_be_hashed_or_are_alike_are_refused() -> None:
    for content in (
        b"S\x00\x00\x00\x01l\x00\x00\x00\x00",
        b"S\x00\x00\x00\x02NN",
        b"m\x00\x00\x00\x01l\x00\x00\x00\x00N",
    ):
        nodes(content)
        with pytest.raises(CodecError):
            decode(content)


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 7))
def test_frames_come_out_whole_however_they_arrive(frames: list[bytes], step: int) -> None:
    stream = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    buffer, seen = FrameBuffer(), []
    for at in range(0, len(stream), step):
        buffer.feed(stream[at : at + step])
        seen += list(buffer.frames())
    assert seen == frames
    assert not buffer.waiting


def test_a_frame_over_the_limit_is_refused_before_it_arrives() -> None:
    buffer = FrameBuffer()
    buffer.feed(b"\xff\xff\xff\xff")
    with pytest.raises(CodecError):
        list(buffer.frames())
