"""The pipeline by the API of Kubeflow Pipelines: uploaded; its runs submitted once, told, ended."""

import contextlib
import hashlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roundsmith.errors import PlatformError, UnknownName

log = logging.getLogger(__name__)

LOST = ("FAILED", "CANCELED", "SKIPPED")
OVER = ("SUCCEEDED", *LOST)
PAGE = 100


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """A run as the API tells of it."""

    name: str
    run_id: str
    state: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELING, CANCELED, or empty before it is known."""
    since: str
    error: str = ""
    chain: str = ""
    """As its parameter names it; empty where it was given none."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in OVER


class PipelinesApi:
    """One namespace of one API. Blocking."""

    def __init__(self, host: str, namespace: str = "", token: str = "") -> None:
        """`token` is a file that holds one, which is read again as it changes; the namespace counts
        where there is one. Raises PlatformError where nothing answers.
        """
        import kfp  # type: ignore[import-untyped]  # ships no types
        from kfp.client.set_volume_credentials import (  # type: ignore[import-untyped]  # no types
            ServiceAccountTokenVolumeCredentials as FileCredentials,
        )

        self._host = host
        with self._asked("a connection"), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of versions before 2
            self._client = kfp.Client(
                host=host,
                namespace=namespace if token else "kubeflow",
                credentials=FileCredentials(token) if token else None,
            )
        # Kubeflow for one user knows no namespaces, and refuses them.
        self._namespace = namespace if token else None

    def deliver(self, package: Path, name: str) -> tuple[str, bool]:
        """Uploads a compiled pipeline as a version of the pipeline of this name, which is made if
        there is none; what the version is called, by its content, and whether it is new.
        """
        version = version_name(name, package)
        with self._asked(f"pipeline {name}"):
            found = self._client.list_pipelines(filter=_called(name), namespace=self._namespace)
            if found.pipelines:
                pipeline_id = found.pipelines[0].pipeline_id
                kept = self._client.list_pipeline_versions(pipeline_id, filter=_called(version))
                if kept.pipeline_versions:
                    return version, False
            else:  # which makes a version, too, called as the pipeline
                made = self._client.upload_pipeline(str(package), name, namespace=self._namespace)
                pipeline_id = made.pipeline_id
            self._client.upload_pipeline_version(str(package), version, pipeline_id=pipeline_id)
        return version, True

    def submit(
        self, package: Path, name: str, parameters: Mapping[str, Any], experiment: str
    ) -> tuple[str, bool]:
        """Starts a run of a compiled pipeline; its id, and whether it is new: a run of this name
        that did not fail is gone on with.
        """
        if (there := self._standing(name)) is not None:
            return there.run_id, False
        with self._asked(f"run {name}"):
            kept = self._client.create_experiment(experiment, namespace=self._namespace)
            made = self._client.run_pipeline(
                kept.experiment_id, name, str(package), params=dict(parameters)
            )
        return str(made.run_id), True

    def submit_again(self, run_id: str, name: str, changes: Mapping[str, Any]) -> str:
        """Starts a run with the pipeline, the experiment and the parameters of another one, but for
        `changes`; the id of the run of that name. Where the pipeline's version is there no more, as
        after an upgrade of the chart, with the latest one.
        """
        if (there := self._standing(name)) is not None:
            return there.run_id
        with self._asked(f"run {name}"):
            own = self._client.get_run(run_id)
            told = {
                "params": {**(own.runtime_config.parameters or {}), **changes},
                "pipeline_root": own.runtime_config.pipeline_root,
                "service_account": own.service_account,
            }
            if (version := own.pipeline_version_reference) is not None:
                pipeline_id = version.pipeline_id
                version_id = self._version(pipeline_id, version.pipeline_version_id)
                told |= {"pipeline_id": pipeline_id, "version_id": version_id}
                made = self._client.run_pipeline(own.experiment_id, name, **told)
                return str(made.run_id)
            with tempfile.TemporaryDirectory() as folder:
                package = Path(folder, "pipeline.yaml")
                package.write_text(_package(own.pipeline_spec))
                made = self._client.run_pipeline(own.experiment_id, name, str(package), **told)
                return str(made.run_id)

    def parameters(self, run_id: str) -> dict[str, Any]:
        """What a run was started with, as far as it was told."""
        with self._asked(f"run {run_id}"):
            return dict(self._client.get_run(run_id).runtime_config.parameters or {})

    def lost(self, run_id: str) -> bool:
        """Whether a run ended without success, or is not there any more."""
        with self._asked(f"run {run_id}"):
            run = _there(lambda: self._client.get_run(run_id))
            return run is None or run.state in LOST

    def runs(self, chain: str = "") -> list[PipelineRun]:
        """The runs of a chain, or of all, the latest first."""
        # A first round that the UI began has any name.
        return [run for run in self._listed(None) if chain in ("", run.chain)]

    def end(self, chain: str, known: Collection[str] = ()) -> list[PipelineRun]:
        """Ends the runs of a chain that are under way; those. `known` are ids of its runs that were
        given no name of a chain. Raises UnknownName without a run.
        """
        found = [run for run in self._listed(None) if run.chain == chain or run.run_id in known]
        if not found:
            raise UnknownName(
                f"chain {chain!r}: expected runs of it at {self._host}, saw none: check the name; "
                "a round that the UI began without one is found by --storage"
            )
        ended = [run for run in found if not run.over]
        for run in ended:
            with self._asked(f"run {run.name}"):
                self._client.terminate_run(run.run_id)
        return ended

    def page(self, run_id: str) -> str:
        """Where the UI shows a run."""
        return f"{self._host.rstrip('/')}/#/runs/details/{run_id}"

    def _version(self, pipeline_id: str, version_id: str) -> str:
        """The version of a pipeline, or the latest one where that is there no more."""
        if _there(lambda: self._client.get_pipeline_version(pipeline_id, version_id)) is not None:
            return version_id
        answer = self._client.list_pipeline_versions(
            pipeline_id, page_size=PAGE, sort_by="created_at desc"
        )
        versions = answer.pipeline_versions or ()
        latest = max(versions, key=lambda version: version.created_at, default=None)
        if latest is None:
            raise PlatformError(
                f"{self._host}: expected a version of pipeline {pipeline_id}, saw none: install "
                "the chart's pipeline again, and retry the run's last task"
            )
        log.info("the pipeline's version is gone: going on with %s", latest.display_name)
        return str(latest.pipeline_version_id)

    def _standing(self, name: str) -> PipelineRun | None:
        """The run of this name that runs or is done."""
        named = self._listed(_called(name))
        return next((run for run in named if run.state not in LOST), None)

    def _listed(self, kept: str | None) -> Iterator[PipelineRun]:
        page = ""
        while True:
            with self._asked("the list of runs"):
                answer = self._client.list_runs(
                    page_token=page,
                    page_size=PAGE,
                    sort_by="created_at desc",
                    namespace=self._namespace,
                    filter=kept,
                )
            for run in answer.runs or ():
                why = run.error.message if run.error else ""
                given = (run.runtime_config and run.runtime_config.parameters) or {}
                yield PipelineRun(
                    run.display_name,
                    run.run_id,
                    run.state or "",
                    str(run.created_at),
                    why or "",
                    str(given.get("chain", "")),
                )
            page = answer.next_page_token or ""
            if not page:
                return

    @contextlib.contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Raises PlatformError for what the API refuses; kfp's own prints are left out."""
        import kfp_server_api  # type: ignore[import-untyped]  # ships no types
        import urllib3

        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except kfp_server_api.ApiException as error:
            raise PlatformError(
                f"{self._host}: expected {what} of Kubeflow Pipelines, saw status {error.status}: "
                f"{_message(error.body) or error.reason}"
            ) from error
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            raise PlatformError(
                f"{self._host}: expected the API of Kubeflow Pipelines to answer, saw {error}: "
                "check the address"
            ) from error


def version_name(name: str, package: Path) -> str:
    """What a version of a pipeline is called, by its compiled content."""
    return f"{name}-{hashlib.sha256(package.read_bytes()).hexdigest()[:12]}"


def _there(asked: Callable[[], Any]) -> Any:
    """What the API answers, or None where it knows no such thing."""
    import kfp_server_api

    try:
        return asked()
    except kfp_server_api.ApiException as error:
        if error.status != 404:
            raise
        return None


def _called(name: str) -> str:
    """The filter of what has this name."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _package(spec: Mapping[str, Any]) -> str:
    """A pipeline as the API tells of it, as a file that kfp reads."""
    documents = (spec.get("pipeline_spec", spec), spec.get("platform_spec", {}))
    return "\n---\n".join(json.dumps(document) for document in documents if document) + "\n"


def _message(body: Any) -> str:
    try:
        told = json.loads(body)
        return str(told.get("error_details") or told.get("error") or told.get("message") or "")
    except (TypeError, ValueError, AttributeError):
        return ""
