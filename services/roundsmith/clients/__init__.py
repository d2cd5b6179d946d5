"""Clients of the services: typed, asynchronous, patient, and never answered twice."""

from roundsmith.clients.services import (
    Endpoints,
    ExecutorClient,
    GeneratorClient,
    PairBuilderClient,
    ScorerClient,
    Services,
    connect,
)

__all__ = [
    "Endpoints",
    "ExecutorClient",
    "GeneratorClient",
    "PairBuilderClient",
    "ScorerClient",
    "Services",
    "connect",
]
