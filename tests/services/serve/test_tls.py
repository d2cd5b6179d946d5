"""TLS and mutual TLS with certificates made here: who is let in, and by which name."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from roundsmith.clients import ClientTls, Replicas, StreamSettings
from roundsmith.clients.replicas import everywhere
from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError, NotAllowed, Unavailable
from roundsmith.pair_builder.service import bindings
from roundsmith.serve import Binding, Service, caller_of, listening, run
from roundsmith.v1 import pair_builder_pb2, pair_builder_pb2_grpc
from tests.services.serve.authority import Authority
from tests.services.serve.world import PATIENCE_S, connected, group, serving


def server_settings(authority: Authority, mutual: bool) -> dict[str, object]:
    """A server that shows a certificate for `roundsmith.test`."""
    files = authority.issue("server", dns="roundsmith.test")
    settings: dict[str, object] = {
        "tls_certificate": files["certificate"],
        "tls_key": files["key"],
    }
    return settings | ({"tls_client_ca": authority.ca} if mutual else {})


SOON = StreamSettings(give_up_s=0.5)
"""For who is refused: a busy machine may need longer to let somebody in."""


def test_only_a_client_with_a_certificate_of_the_authority_is_let_in(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    here = {"ca": ours.ca, "server_name": "roundsmith.test"}

    async def play() -> None:
        async with serving(tmp_path, **server_settings(ours, mutual=True)) as addresses:
            known = ClientTls.model_validate(here | ours.issue("trainer"))
            async with connected(addresses["address"], tls=known) as client:
                assert len(await client.build("echo", {}, 1, group())) == 1
                assert await client.recipes() == ["echo"]
            strangers = (here, here | other.issue("trainer"), here | {"server_name": "elsewhere"})
            for settings in strangers:
                stranger = ClientTls.model_validate(settings)
                async with connected(addresses["address"], SOON, stranger) as client:
                    with pytest.raises(Unavailable):
                        await client.build("echo", {}, 1, group())
            async with connected(addresses["address"], SOON) as client:
                with pytest.raises(Unavailable):
                    await client.build("echo", {}, 1, group())

    asyncio.run(play())


def test_without_a_client_authority_the_server_alone_is_proved(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    tls = ClientTls(ca=ours.ca, server_name="roundsmith.test")

    async def play() -> None:
        async with (
            serving(tmp_path, **server_settings(ours, mutual=False)) as addresses,
            connected(addresses["address"], tls=tls) as client,
        ):
            assert await client.recipes() == ["echo"]

    asyncio.run(play())


def test_files_that_are_replaced_are_shown_to_connections_that_open_later(tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    given = server_settings(first, mutual=True)
    others = server_settings(second, mutual=True)

    async def let_in(
        address: str, authority: Authority, patience: StreamSettings | None = None
    ) -> bool:
        here = {"ca": authority.ca, "server_name": "roundsmith.test"}
        tls = ClientTls.model_validate(here | authority.issue("trainer"))
        async with connected(address, patience, tls) as client:
            try:
                return len(await client.build("echo", {}, 1, group())) == 1
            except Unavailable:
                return False

    async def play() -> None:
        async with serving(tmp_path, **given) as addresses:
            address = addresses["address"]
            assert await let_in(address, first)
            assert not await let_in(address, second, SOON)
            key = Path(str(given["tls_key"]))
            kept = key.read_bytes()
            for broken in (b"no key", Path(str(others["tls_key"])).read_bytes()):
                key.write_bytes(broken)
                assert await let_in(address, first)
            key.write_bytes(kept)
            for name, path in others.items():
                Path(str(given[name])).write_bytes(Path(str(path)).read_bytes())
            assert await let_in(address, second)

    asyncio.run(play())


def test_a_client_shows_replaced_files_on_the_connections_that_it_opens_later(
    tmp_path: Path,
) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    given = server_settings(first, mutual=True)
    mine = {"ca": first.ca} | first.issue("trainer")
    theirs = {"ca": second.ca} | second.issue("trainer")
    tls = ClientTls.model_validate(mine | {"server_name": "roundsmith.test"})

    async def play() -> None:
        async with (
            serving(tmp_path, **given) as addresses,
            connected(addresses["address"], tls=tls) as client,
        ):
            assert len(await client.build("echo", {}, 1, group())) == 1
            for name, path in server_settings(second, mutual=True).items():
                Path(str(given[name])).write_bytes(Path(str(path)).read_bytes())
            key = mine["key"].read_bytes()
            mine["key"].write_bytes(b"being written")
            assert await client.recipes() == ["echo"]  # by the connection that there is
            mine["key"].write_bytes(key)
            for name, path in theirs.items():
                mine[name].write_bytes(path.read_bytes())
            assert await client.recipes() == ["echo"]
            assert len(await client.build("echo", {}, 1, group("t1"))) == 1

    asyncio.run(play())


@pytest.mark.parametrize(
    ("days", "seen"), [(-1, "certificate has expired"), (1, "certificate is not yet valid")]
)
def test_a_client_that_is_let_in_no_more_says_so_once_where_it_is_for_its_certificates_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, days: int, seen: str
) -> None:
    authority = Authority(tmp_path, "first")
    given = server_settings(authority, mutual=True)
    good = {"ca": authority.ca} | authority.issue("trainer")
    authority.now += timedelta(days=days)
    bad = {"ca": authority.ca} | authority.issue("late")
    files = {name: bad[name].read_bytes() for name in ("certificate", "key")}
    tls = ClientTls.model_validate(bad | {"server_name": "roundsmith.test"})

    async def play() -> None:
        async with serving(tmp_path, **given) as addresses:
            address = addresses["address"]
            for name in files:
                bad[name].write_bytes(good[name].read_bytes())
            async with connected(address, SOON, tls=tls) as client:
                assert await client.recipes() == ["echo"]
                assert "valid now" not in caplog.text
                for name, content in files.items():
                    bad[name].write_bytes(content)
                with pytest.raises(Unavailable):
                    await client.build("echo", {}, 1, group())

    asyncio.run(play())
    told = [r.getMessage() for r in caplog.records if "valid now" in r.getMessage()]
    assert len(told) == 1
    assert f"saw: {seen}; servers that ask" in told[0]
    assert str(bad["certificate"]) in told[0]


def names_of(folder: Path, settings: ServeSettings, clients: list[Any]) -> list[str]:
    """What `caller_of` says of each client: a target's channel and its metadata."""
    told: list[str] = []

    async def whoami(request: bytes, context: Any) -> bytes:
        told.append(caller_of(context))
        return request

    def add(server: grpc.aio.Server) -> None:
        method: Any = grpc.unary_unary_rpc_method_handler(whoami)
        handler = grpc.method_handlers_generic_handler("tests.Who", {"Ami": method})
        server.add_generic_rpc_handlers((handler,))

    async def play() -> None:
        async with listening([Binding("tests.Who", add)], settings) as addresses:
            for open_it, metadata in clients:
                async with open_it(addresses["address"]) as channel:
                    call: Any = channel.unary_unary("/tests.Who/Ami")
                    await call(b"", timeout=PATIENCE_S, metadata=metadata)

    asyncio.run(play())
    return told


def test_a_caller_is_its_subject_else_its_address_and_the_name_it_gives(tmp_path: Path) -> None:
    from roundsmith.clients.channels import open_channel

    ours = Authority(tmp_path, "ours")
    tls = ClientTls.model_validate(
        {"ca": ours.ca, "server_name": "roundsmith.test"} | ours.issue("trainer")
    )
    secure = ServeSettings.model_validate(server_settings(ours, mutual=True))
    forged = (("x-roundsmith-client", "someone-else"),)
    clients = [(lambda target: open_channel(target, tls), forged)]
    assert names_of(tmp_path, secure, clients) == ["trainer"]
    plain = [(open_channel, (("x-roundsmith-client", name),)) for name in ("a", "b", "a")]
    told = names_of(tmp_path, ServeSettings(), plain)
    assert told == ["ipv4:127.0.0.1/a", "ipv4:127.0.0.1/b", "ipv4:127.0.0.1/a"]


def test_a_certificate_that_can_not_be_read_is_told_before_the_engine_is_loaded(
    tmp_path: Path,
) -> None:
    async def start() -> Service:
        raise AssertionError("the engine was loaded")

    (tmp_path / "empty.pem").write_text("")
    for name in ("missing.pem", "empty.pem"):
        path = tmp_path / name
        settings = ServeSettings(tls_certificate=path, tls_key=path)
        with pytest.raises(ConfigError, match=f"{name}: expected a PEM file"):
            asyncio.run(run(start, settings))
        with pytest.raises(ConfigError, match=f"{name}: expected a PEM file"):
            ClientTls(ca=path).read()
    with pytest.raises(ValueError, match="together"):
        ClientTls(key=tmp_path / "k.pem")


def test_a_key_of_another_certificate_is_told_before_anything_is_loaded_or_asked(
    tmp_path: Path,
) -> None:
    async def start() -> Service:
        raise AssertionError("the engine was loaded")

    ours = Authority(tmp_path, "ours")
    certificate, key = ours.issue("server")["certificate"], ours.issue("other")["key"]
    settings = ServeSettings(tls_certificate=certificate, tls_key=key)
    expected = "other-key.pem: expected the key of .*server-certificate.pem, saw another"
    with pytest.raises(ConfigError, match=expected):
        asyncio.run(run(start, settings))
    tls = ClientTls(ca=ours.ca, certificate=certificate, key=key)
    with pytest.raises(ConfigError, match=expected):
        tls.read()


def test_a_call_that_begins_while_a_clients_files_are_replaced_is_answered(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    mine, new = ours.issue("trainer"), ours.issue("renewed")
    tls = ClientTls.model_validate({"ca": ours.ca, "server_name": "roundsmith.test"} | mine)

    async def play() -> None:
        given = server_settings(ours, mutual=True)
        async with (
            serving(tmp_path, **given) as addresses,
            connected(addresses["address"], tls=tls) as client,
        ):
            assert await client.recipes() == ["echo"]
            mine["certificate"].write_bytes(new["certificate"].read_bytes())
            assert await client.recipes(timeout_s=20.0) == ["echo"]  # the key is not there yet
            mine["key"].write_bytes(new["key"].read_bytes())
            assert await client.recipes() == ["echo"]

    asyncio.run(play())


def test_every_replica_is_expected_to_prove_its_address_where_no_name_leads_to_it(
    tmp_path: Path,
) -> None:
    ours = Authority(tmp_path, "ours")
    files = ours.issue("server", address="127.0.0.1")
    given = {"tls_certificate": files["certificate"], "tls_key": files["key"]}
    settings = ServeSettings.model_validate(given)

    async def play() -> None:
        async with listening(bindings({}, settings), settings) as addresses:
            target = f"ipv4:{addresses['address']}"
            where = Replicas(f"{target},{addresses['address']}", ClientTls(ca=ours.ca))
            await everywhere(
                where,
                lambda channel: pair_builder_pb2_grpc.PairBuilderServiceStub(channel).ListRecipes,
                pair_builder_pb2.ListRecipesRequest(),
                60.0,
            )

    asyncio.run(play())
    assert [Replicas(f"{prefix}g:8034").host for prefix in ("", "dns:", "dns:///")] == ["g"] * 3


def test_only_configured_subjects_reach_what_the_owner_of_the_weights_may_do(
    tmp_path: Path,
) -> None:
    ours = Authority(tmp_path, "ours")
    given = server_settings(ours, mutual=True) | {"admin_subjects": ("trainer",)}
    settings = ServeSettings.model_validate(given)
    here = {"ca": ours.ca, "server_name": "roundsmith.test"}

    async def play() -> None:
        owned = [Binding(b.name, b.add, admin=True) for b in bindings({}, settings)]
        async with listening(owned, settings) as addresses:
            for subject in ("trainer", "someone-else"):
                tls = ClientTls.model_validate(here | ours.issue(subject))
                async with connected(addresses["admin_address"], tls=tls) as client:
                    if subject == "trainer":
                        assert await client.recipes() == []
                        continue
                    with pytest.raises(NotAllowed, match="saw someone-else"):
                        await client.recipes()
                    with pytest.raises(NotAllowed):
                        await client.build("echo", {}, 1, group())

    asyncio.run(play())
