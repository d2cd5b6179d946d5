"""Outcomes to their message: there are so many that each field is set here, not by a plan."""

from collections.abc import Sequence

from roundsmith.types import JudgedAt, Outcome, Phase
from roundsmith.v1 import executor_pb2 as pb2
from roundsmith.verdicts import Label, Verdict
from roundsmith.wire.codecs import enum_numbers, fill_seconds

_FIELDS = pb2.Outcome.DESCRIPTOR.fields_by_name
_VERDICT = enum_numbers(Verdict, _FIELDS["verdict"].enum_type)
_LABEL = enum_numbers(Label, _FIELDS["label"].enum_type)
_JUDGE = enum_numbers(JudgedAt, _FIELDS["judge"].enum_type)
_PHASE = enum_numbers(Phase, _FIELDS["phase"].enum_type)


def outcomes_to_message(outcomes: Sequence[Outcome]) -> pb2.Outcomes:
    """One message of several outcomes, each as `to_message` makes it."""
    message = pb2.Outcomes()
    add = message.outcomes.add
    for o in outcomes:
        one = add(
            code_id=o.code_id,
            test_id=o.test_id,
            verdict=_VERDICT[o.verdict],
            label=_LABEL[o.label],
            judge=_JUDGE[o.judge],
            near_limit=o.near_limit,
            tier=o.tier,
            image=o.image,
            detail=o.detail,
            phase=_PHASE[o.phase],
            left_out=o.left_out,
        )
        fill_seconds(o.cpu_s, one.cpu)
        fill_seconds(o.wall_s, one.wall)
    return message
