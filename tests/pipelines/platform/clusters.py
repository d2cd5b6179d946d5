"""A cluster as its chart tells of it, for tests of what is made of that."""

from typing import Any

from roundsmith.platform.cluster_config import ClusterConfig


def described(**training: Any) -> dict[str, Any]:
    """The JSON of a small cluster, with these settings of its trainings."""
    services = ("generator", "generator_admin", "executor", "scorer", "scorer_admin")
    return {
        "endpoints": {name: f"dns:///{name}:8033" for name in (*services, "pair_builder")},
        "storage": "s3://bucket/prefix/",
        "namespace": "ml",
        "services": {
            **{"engine": "transformers", "generator_slots": 32},
            **{"threads": 1, "dtype": "float32", "device": "cpu"},
        },
        "training": {"replicas": 2, "threads": 1, "template": template("pytorch"), **training},
        "control": {"template": template("control")},
    }


def template(container: str) -> dict[str, Any]:
    """A pod template with one container."""
    made = {"name": container, "image": "roundsmith:1", "env": [{"name": "HOME", "value": "/tmp"}]}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    return {"metadata": {"labels": labels}, "spec": {"containers": [made]}}


def cluster(jobs: dict[str, Any] | None = None, **training: Any) -> ClusterConfig:
    """A small cluster, with these settings of its jobs and of its trainings."""
    return ClusterConfig.model_validate(described(**training) | {"jobs": jobs or {}})
