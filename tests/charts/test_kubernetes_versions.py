"""Every template with every preset, by the strict schemas of the Kubernetes versions it is for."""

import pytest

from tests.charts.rendering import PRESETS, objects

VERSIONS = tuple(f"1.{minor}" for minor in range(30, 37))
"""Those that it is for."""
OF_OTHERS = ("serving.kserve.io/", "monitoring.coreos.com/", "cert-manager.io/", "keda.sh/")
"""Kinds of controllers, which a real API server checks in tests/cluster."""


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_kubernetes_knows_every_field_that_a_preset_makes(preset: str) -> None:
    kubernetes_validate = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate: expected the extra `dev`, saw none"
    )
    made = [o for o in objects(preset=preset) if not o["apiVersion"].startswith(OF_OTHERS)]
    assert len(made) > 20
    for version in VERSIONS:
        for item in made:
            kubernetes_validate.validate(item, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_noticed() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    item = next(o for o in objects(preset="small") if o["kind"] == "Deployment")
    item["spec"]["template"]["spec"]["nodeselector"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, VERSIONS[-1], strict=True)
