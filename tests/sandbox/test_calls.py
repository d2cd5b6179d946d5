"""Calls as a solver is asked for them: what comes over is what was asked."""

import pytest

from roundsmith.sandbox.calls import MARSHALLED, pack_calls, unpack_calls
from roundsmith.sandbox.codec import CodecError, Opaque, encode

PLAIN = [
    ("f", (), {}),
    ("f", (None, True, 0, -1, 2**200, 1.5, -0.0, 1j, "\ud800é", b"\x00"), {"key": [1, (2,)]}),
    ("f", ({"b": 1, "a": {3: [4]}, (1, 2): None},), {}),
    [("f", (1,), {}), ("g", ([],), {"x": ()})],
]


@pytest.mark.parametrize("asked", PLAIN)
def test_a_plain_call_comes_over_as_it_is(asked: object) -> None:
    body = pack_calls(asked)
    assert body[:1] in MARSHALLED
    found = unpack_calls(body)
    assert repr(found) == repr(asked)
    assert encode(found) == encode(asked)


@pytest.mark.parametrize("members", [[9, 1], [1, 9]])
def test_members_of_a_set_are_asked_for_in_their_own_order(members: list[int]) -> None:
    """9 and 1 fall on one place of a small set, so that which came first shows."""
    for made in (set(members), frozenset(members)):
        assert list(made) == members
        (found,) = unpack_calls(pack_calls(("f", (made,), {})))[1]
        assert list(found) == members
        (inner,) = unpack_calls(pack_calls(("f", ({"k": [made]},), {})))[1]
        assert list(inner["k"][0]) == members


def test_what_is_not_plain_is_not_taken_for_what_is() -> None:
    for foreign in (bytearray(b"x"), memoryview(b"x")):
        (found,) = unpack_calls(pack_calls(("f", (foreign,), {})))[1]
        assert type(found) is Opaque
        assert found.type_name == type(foreign).__name__


def test_calls_keep_the_limits_of_the_codec() -> None:
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    for over in (deep, "x" * 2**21):
        with pytest.raises(CodecError):
            pack_calls(("f", (over,), {}))
