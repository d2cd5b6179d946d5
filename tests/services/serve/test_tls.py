"""TLS and mutual TLS with certificates made here: who is let in, and by which name."""

import asyncio
import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from roundsmith.clients import ClientTls, StreamSettings
from roundsmith.config import ServeSettings
from roundsmith.errors import ConfigError, NotAllowed, Unavailable
from roundsmith.pair_builder.service import bindings
from roundsmith.serve import Binding, Service, caller_of, listening, run
from tests.services.serve.world import connected, group, serving


class Authority:
    """Signs certificates for a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._begin(self._issuer, self._key).add_extension(constraints, True)
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(_pem(certificate.sign(self._key, hashes.SHA256())))

    def issue(self, subject: str, dns: str | None = None) -> dict[str, Path]:
        """A certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._begin(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]), key)
        if dns is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(dns)])
            builder = builder.add_extension(names, False)
        files = {
            kind: self.folder / f"{self.name}-{subject}-{kind}.pem"
            for kind in ("certificate", "key")
        }
        files["certificate"].write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        files["key"].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return files

    def _begin(self, subject: x509.Name, key: Any) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def server_settings(authority: Authority, mutual: bool) -> dict[str, object]:
    """A server that shows a certificate for `roundsmith.test`."""
    files = authority.issue("server", dns="roundsmith.test")
    settings: dict[str, object] = {
        "tls_certificate": files["certificate"],
        "tls_key": files["key"],
    }
    return settings | ({"tls_client_ca": authority.ca} if mutual else {})


SOON = StreamSettings(give_up_s=0.5)


def test_only_a_client_with_a_certificate_of_the_authority_is_let_in(tmp_path: Path) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    here = {"ca": ours.ca, "server_name": "roundsmith.test"}

    async def play() -> None:
        async with serving(tmp_path, **server_settings(ours, mutual=True)) as addresses:
            known = ClientTls.model_validate(here | ours.issue("trainer"))
            async with connected(addresses["address"], SOON, known) as client:
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
            connected(addresses["address"], SOON, tls) as client,
        ):
            assert await client.recipes() == ["echo"]

    asyncio.run(play())


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
                    await call(b"", timeout=5, metadata=metadata)

    asyncio.run(play())
    return told


def test_a_caller_is_its_subject_else_its_address_and_the_name_it_gives(tmp_path: Path) -> None:
    from roundsmith.clients.services import open_channel

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
            ClientTls(ca=path).credentials()
    with pytest.raises(ValueError, match="together"):
        ClientTls(key=tmp_path / "k.pem")


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
                async with connected(addresses["admin_address"], SOON, tls) as client:
                    if subject == "trainer":
                        assert await client.recipes() == []
                        continue
                    with pytest.raises(NotAllowed, match="saw someone-else"):
                        await client.recipes()
                    with pytest.raises(NotAllowed):
                        await client.build("echo", {}, 1, group())

    asyncio.run(play())
