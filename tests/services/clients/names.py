"""A name server as a headless Service has one: a name is the addresses that it is told."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

_ADDRESS, _INTERNET = 1, 1


class Names(asyncio.DatagramProtocol):
    """Answers every question for an IPv4 address with `addresses`."""

    def __init__(self) -> None:
        self.addresses: Sequence[str] = ()
        self.asked = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, datagram: bytes, sender: Any) -> None:
        end = datagram.index(b"\0", 12) + 5  # the name, its end, type and class
        (kind,) = struct.unpack("!H", datagram[end - 4 : end - 2])
        found = self.addresses if kind == _ADDRESS else ()
        self.asked += kind == _ADDRESS
        # an answer, without an error: one question, as many answers, all about its name
        header = datagram[:2] + struct.pack("!HHHHH", 0x8580, 1, len(found), 0, 0)
        answers = [
            struct.pack("!HHHIH", 0xC00C, _ADDRESS, _INTERNET, 1, 4) + socket.inet_aton(address)
            for address in found
        ]
        self._transport.sendto(header + datagram[12:end] + b"".join(answers), sender)


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[Names, str]]:
    """The server, and `host:port` of it."""
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(Names, ("127.0.0.1", 0))
    try:
        host, port = transport.get_extra_info("sockname")
        yield names, f"{host}:{port}"
    finally:
        transport.close()
