"""The pipeline that the chart delivers: the one that `compile` writes, with the release's names."""

import subprocess
import sys
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from typer.testing import CliRunner

from roundsmith.cli import app
from tests.charts.rendering import CHART, STORED, WHOLE, cluster, objects, one

pytest.importorskip("kfp", reason="needs the extra cluster")


def test_the_charts_file_is_what_compile_writes_now(tmp_path: Path) -> None:
    # A process of its own: kfp takes functions' sources from their files, which a checkout may
    # have changed since this one imported them.
    kept, fresh = CHART / "pipeline.yaml", tmp_path / "pipeline.yaml"
    command = [sys.executable, "-m", "roundsmith.platform.pipeline"]
    done = subprocess.run([*command, fresh], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    old, new = (path.read_text().splitlines() for path in (kept, fresh))
    difference = "\n".join(unified_diff(old, new, "the chart's", "written now", lineterm=""))
    assert not difference, (
        "python -m roundsmith.platform.pipeline charts/roundsmith/pipeline.yaml writes it anew:\n"
        f"{difference}"
    )


def delivered(*values: str) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """What the chart renders, and the two documents of its pipeline."""
    found = objects(*WHOLE, *values)
    text = one(found, "ConfigMap", "r-pipeline")["data"]["pipeline.yaml"]
    ir, platform = yaml.safe_load_all(text)
    return found, ir, platform


def test_its_tasks_run_in_the_image_of_rounds_and_find_the_release() -> None:
    found, ir, platform = delivered()
    told = one(found, "ConfigMap", "r-cluster")["data"]["cluster.json"]
    images = {made["container"]["image"] for made in ir["deploymentSpec"]["executors"].values()}
    (image,) = images
    assert f'"image": "{image}"' in told
    assert "r-cluster" in str(platform)
    assert "RELEASE" not in str(platform)
    assert "invalid" not in str(ir)
    assert not [made for made in found if made["kind"] == "PipelineVersion"]


@pytest.mark.parametrize(
    ("values", "tls"), [((), "r-client-tls"), (("tls.clientSecret=mine",), "mine")]
)
def test_its_tasks_get_the_certificate_and_the_image_as_rounds_do(
    values: tuple[str, ...], tls: str
) -> None:
    given = ("tls.enabled=true", "tls.serverSecret=s", "tls.certManager.issuer=i", *values)
    found, _, platform = delivered(*given)
    volumes = cluster(found)["control"]["template"]["spec"]["volumes"]
    assert {v["secret"]["secretName"] for v in volumes if "secret" in v} == {tls}
    for told in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert [secret["secretName"] for secret in told["secretAsVolume"]] == [tls]
        assert [secret["secretName"] for secret in told["imagePullSecret"]] == ["registry"]


def test_as_objects_it_is_the_same_pipeline() -> None:
    found, ir, platform = delivered("pipelines.objects=true")
    (version,) = (made for made in found if made["kind"] == "PipelineVersion")
    assert (
        version["spec"]["pipelineName"] == one(found, "Pipeline", "r-pipeline")["metadata"]["name"]
    )
    assert version["spec"]["pipelineSpec"] == ir
    assert version["spec"]["platformSpec"] == platform


def test_an_upload_waits_for_the_release_and_sends_what_the_configmap_has(tmp_path: Path) -> None:
    host = ("pipelines.upload=true", "pipelines.host=http://ml-pipeline.kubeflow:8888")
    tls = ("tls.enabled=true", "tls.serverSecret=s", "tls.clientSecret=mine")
    found, ir, platform = delivered(*host, *tls, "imagePullSecrets={registry,other}")
    job = one(found, "Job", "r-upload")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == (
        "post-install,post-upgrade,post-rollback"
    )
    (container,) = job["spec"]["template"]["spec"]["containers"]
    output = tmp_path / "pipeline.yaml"
    words = [w for w in container["args"] if not w.startswith(("--pipelines", "--output"))]
    done = CliRunner().invoke(app, [*words, "--output", str(output)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert list(yaml.safe_load_all(output.read_text())) == [ir, platform]
    with pytest.raises(AssertionError, match=r"pipelines.upload: expected pipelines.host"):
        delivered("pipelines.upload=true")


def test_an_upload_has_the_queue_and_the_priority_of_the_jobs_of_runs() -> None:
    def told(*values: str) -> tuple[str | None, str | None]:
        host = ("pipelines.upload=true", "pipelines.host=http://kfp")
        job = one(objects(*STORED, *host, *values), "Job", "r-upload")
        queue = job["metadata"]["labels"].get("kueue.x-k8s.io/queue-name")
        return queue, job["spec"]["template"]["spec"].get("priorityClassName")

    assert told() == (None, None)
    assert told("jobs.queue=gpus", "jobs.priorityClassName=high") == ("gpus", "high")


def test_each_profile_uploads_a_pipeline_of_its_own() -> None:
    values = ("storage.url=s3://b/p", "profiles[0].namespace=ann", "profiles[1].namespace=ben")
    host = ("pipelines.upload=true", "pipelines.host=http://kfp")

    def called(*more: str) -> list[tuple[str, str]]:
        jobs = [o for o in objects(*values, *host, *more) if o["kind"] == "Job"]
        words = [job["spec"]["template"]["spec"]["containers"][0]["args"] for job in jobs]
        options = [dict(w.split("=", 1) for w in one if "=" in w) for one in words]
        return [(each["--name"], each["--namespace"]) for each in options]

    assert called() == [("r-ann", "ann"), ("r-ben", "ben")]
    assert called("pipelines.token=/token") == [("r", "ann"), ("r", "ben")]
