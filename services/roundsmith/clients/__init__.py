"""Clients of the services: typed, asynchronous, patient, and never answered twice."""

from roundsmith.clients.generator import GeneratorClient
from roundsmith.clients.many import Progress, answers
from roundsmith.clients.patience import ROUNDS, StreamSettings
from roundsmith.clients.replicas import Replicas
from roundsmith.clients.services import (
    Endpoints,
    ExecutorClient,
    PairBuilderClient,
    ScorerClient,
    Services,
    connect,
)
from roundsmith.clients.tls import ClientTls

__all__ = [
    "ROUNDS",
    "ClientTls",
    "Endpoints",
    "ExecutorClient",
    "GeneratorClient",
    "PairBuilderClient",
    "Progress",
    "Replicas",
    "ScorerClient",
    "Services",
    "StreamSettings",
    "answers",
    "connect",
]
