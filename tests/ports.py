"""Ports for servers that end and start again where they were."""

import random
import socket
from contextlib import suppress

GIVEN_TO_NOBODY = range(15_000, 30_000)
"""Below those that the kernel gives to who asks for any, and to connections: what is not bound for
a while is still free after it. Kubernetes has those above it for its Services.
"""


def kept_port() -> int:
    """A free one that the kernel gives nobody meanwhile."""
    while True:
        port = random.choice(GIVEN_TO_NOBODY)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
