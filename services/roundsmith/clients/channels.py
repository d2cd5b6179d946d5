"""Channels to services: balanced over replicas that are healthy, kept alive, encrypted if asked."""

import json

import grpc

from roundsmith.clients.rotation import RotatingChannel
from roundsmith.clients.tls import ClientTls

_IDEMPOTENT = (
    ("GeneratorService", "GetModel"),
    ("GeneratorAdminService", "ReloadWeights"),
    ("GeneratorAdminService", "LoadAdapter"),
    ("GeneratorAdminService", "UnloadAdapter"),
    ("ScorerAdminService", "ReloadScorerWeights"),
    ("ExecutorService", "GetCapabilities"),
    ("PairBuilderService", "ListRecipes"),
)
"""Methods that may be called again when nobody knows whether they were carried out."""
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
    "methodConfig": [
        {
            "name": [
                {"service": f"roundsmith.v1.{service}", "method": method}
                for service, method in _IDEMPOTENT
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 64 * 2**20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # a long decode is silent
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
]


def open_channel(
    target: str, tls: ClientTls | None = None, server_name: str | None = None
) -> grpc.aio.Channel:
    """A channel to one target, encrypted by `tls` where it is given; `server_name` is expected in
    the server's certificate where `tls` names none. Raises ConfigError when a file of `tls` can not
    be read.
    """
    if tls is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS)
    options = list(_OPTIONS)
    if (name := tls.server_name or server_name) is not None:
        options.append(("grpc.ssl_target_name_override", name))
    return RotatingChannel(
        tls, lambda credentials: grpc.aio.secure_channel(target, credentials, options=options)
    )
