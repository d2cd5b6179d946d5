"""Clients of the services: typed, asynchronous, patient, and never answered twice."""

from roundsmith.clients.patience import StreamSettings
from roundsmith.clients.services import (
    Endpoints,
    ExecutorClient,
    GeneratorClient,
    PairBuilderClient,
    ScorerClient,
    Services,
    connect,
)
from roundsmith.clients.tls import ClientTls

__all__ = [
    "ClientTls",
    "Endpoints",
    "ExecutorClient",
    "GeneratorClient",
    "PairBuilderClient",
    "ScorerClient",
    "Services",
    "StreamSettings",
    "connect",
]
