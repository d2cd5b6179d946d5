"""A service that can not listen or start as asked: the option that is to be changed is named."""

import socket

import pytest

from tests.pipelines.commands.test_refusals import roundsmith


def test_the_port_that_is_taken_is_told_by_its_own_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for service, option in (("executor", "--metrics-port"), ("scorer", "--admin-port")):
            code, said = roundsmith("serve", service, option, port)
            assert code == 2
            assert f"stop what listens there, or give another {option} " in said


@pytest.mark.parametrize("host", ["203.0.113.9", "nosuch.invalid"])
def test_a_host_that_this_machine_does_not_have_is_told_as_that(host: str) -> None:
    code, said = roundsmith("serve", "pair-builder", "--host", host)
    assert code == 2
    assert f"{host}:0: expected an address of this machine" in said
    assert "give another --host" in said
    assert "stop what listens" not in said


def test_a_profile_that_no_sandbox_has_is_named_with_those_that_there_are() -> None:
    code, said = roundsmith("serve", "executor", "--slots", "1", "--profile", "fortran")
    assert code == 2
    assert "profile 'fortran': it is none; expected some of ['base'" in said


def test_a_floor_that_does_not_hold_is_told_by_its_option() -> None:
    code, said = roundsmith("serve", "executor", "--floor", "T3")
    assert code == 1
    assert "expected at least T3" in said
    assert "lower --floor" in said
