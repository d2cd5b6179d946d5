"""How this process speaks to Kubernetes: by its pod's service account, else by the kubeconfig."""

import importlib.util
from typing import Any

from roundsmith.errors import ConfigError
from roundsmith.installing import how_to_install


def log_in(wanted_by: str = "") -> Any:
    """An ApiClient of the Python package kubernetes, which ships no types. `wanted_by` is the
    option that asks for it, for messages.

    Raises ConfigError without the package, and where nothing says which API server, or nothing that
    can be read.
    """
    told = f"{wanted_by}: " if wanted_by else ""
    if importlib.util.find_spec("kubernetes") is None:
        raise ConfigError(
            f"{told}expected the Python package kubernetes, saw none: {how_to_install('cluster')}"
        )
    import yaml  # type: ignore[import-untyped]  # ships no types
    from kubernetes import client, config  # type: ignore[import-untyped]  # ships no types

    try:
        try:
            config.load_incluster_config()
        except config.ConfigException:
            config.load_kube_config()
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError) as error:
        # The client takes a list or a text for a mapping.
        seen = "a file of another kind" if isinstance(error, TypeError) else str(error)
        raise ConfigError(
            f"{told}expected a pod's service account or a kubeconfig, saw "
            f"{' '.join(seen.split()).rstrip('.')}: set KUBECONFIG to the file of your cluster, or "
            "in a pod mount its token"
        ) from error
    configuration = client.Configuration.get_default_copy()
    configuration.retries = False  # urllib3 would print each try; who asks does it again, and tells
    return client.ApiClient(configuration)
