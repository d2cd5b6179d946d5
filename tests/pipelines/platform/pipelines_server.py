"""An API of Kubeflow Pipelines on loopback, as far as pipelines are uploaded, and runs submitted,
listed and ended there.

No backend is behind it: nothing runs. Each request is held to the models of `kfp_server_api`, which
are made from the backend's own description, and a pipeline to the schema of its IR.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api  # type: ignore[import-untyped]  # ships no types
import yaml  # type: ignore[import-untyped]  # ships no types
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2  # type: ignore[import-untyped]  # ships no types

from tests.pipelines.platform.loopback import listening

BASE = "/apis/v2beta1"


def held_to(model: str, told: dict[str, Any]) -> dict[str, Any]:
    """The body as the model of the API has it; raises ValueError for anything it does not know."""
    known = getattr(kfp_server_api, model)
    unknown = set(told) - set(known.attribute_map.values())
    if unknown:
        raise ValueError(f"{model}: unknown fields {sorted(unknown)}")
    client = kfp_server_api.ApiClient()
    answer = SimpleNamespace(data=json.dumps(told))
    return dict(client.sanitize_for_serialization(client.deserialize(answer, model)))


def is_pipeline(spec: dict[str, Any]) -> None:
    """Raises an error unless it is a pipeline in the IR's schema, and its platform one."""
    json_format.ParseDict(spec["pipeline_spec"], pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(spec["platform_spec"], pipeline_spec_pb2.PlatformSpec())


@dataclass
class Backend:
    """What was asked for."""

    token: str = ""
    """What every request must show; empty asks for none."""
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    url: str = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        """The answer to a request; raises KeyError for what is not there, ValueError for what is
        wrong.
        """
        match method, path.removeprefix(BASE).strip("/").split("/"):
            case "GET", ["healthz"]:
                return {"multi_user": bool(self.token)}
            case "POST", ["experiments"]:
                return self._made(self.experiments, "V2beta1Experiment", "experiment_id", body)
            case "GET", ["experiments"]:
                return {"experiments": self._kept(self.experiments, query)}
            case "POST", ["runs"]:
                return self._run(body)
            case "GET", ["runs"]:
                return {"runs": self._kept(self.runs, query)}
            case "GET", ["runs", run_id]:
                return self.runs[run_id]
            case "GET", ["pipelines"]:
                own = [p for p in self.pipelines.values() if _of(p) == query.get("namespace")]
                return {"pipelines": self._kept({p["pipeline_id"]: p for p in own}, query)}
            case "GET", ["pipelines", pipeline_id, "versions"]:
                own = [v for v in self.versions.values() if v["pipeline_id"] == pipeline_id]
                named = {v["pipeline_version_id"]: v for v in own}
                return {"pipeline_versions": self._kept(named, query)}
            case "GET", ["pipelines", _, "versions", version_id]:
                return self.versions[version_id]
            case "POST", ["pipelines", "upload"]:
                return self._pipeline(query, body)
            case "POST", ["pipelines", "upload_version"]:
                return self._version(query["pipelineid"], query["name"], body)
            case "POST", ["runs", named] if named.endswith(":terminate"):
                self.runs[named.removesuffix(":terminate")]["state"] = "CANCELED"
                return {}
        raise KeyError(f"{method} {path}")

    def _run(self, body: Any) -> dict[str, Any]:
        held_to("V2beta1Run", body)
        held_to("V2beta1RuntimeConfig", body["runtime_config"])
        if body["experiment_id"] not in self.experiments:
            raise ValueError("experiment_id")
        if ("pipeline_spec" in body) == ("pipeline_version_reference" in body):
            raise ValueError("expected a pipeline or the reference of one")
        if "pipeline_spec" in body:
            is_pipeline(body["pipeline_spec"])
        else:
            asked = body["pipeline_version_reference"]
            held_to("V2beta1PipelineVersionReference", asked)
            if asked["pipeline_version_id"] not in self.versions:
                raise KeyError(asked["pipeline_version_id"])
        return self._made(self.runs, "V2beta1Run", "run_id", body | {"state": "RUNNING"})

    def _pipeline(self, query: dict[str, str], spec: Any) -> dict[str, Any]:
        """As the backend does, a version beside the pipeline, of its name."""
        told = {"display_name": query["name"]}
        told |= {"namespace": query["namespace"]} if "namespace" in query else {}
        made = self._made(self.pipelines, "V2beta1Pipeline", "pipeline_id", told)
        self._version(made["pipeline_id"], query["name"], spec)
        return made

    def _version(self, pipeline_id: str, name: str, spec: Any) -> dict[str, Any]:
        is_pipeline(spec)
        if pipeline_id not in self.pipelines:
            raise KeyError(pipeline_id)
        if (pipeline_id, name) in [
            (v["pipeline_id"], v["display_name"]) for v in self.versions.values()
        ]:
            raise ValueError(f"a version called {name} is there")
        told = {"display_name": name, "pipeline_id": pipeline_id, "pipeline_spec": spec}
        return self._made(self.versions, "V2beta1PipelineVersion", "pipeline_version_id", told)

    def _made(self, kept: dict[str, Any], model: str, key: str, body: Any) -> dict[str, Any]:
        named = f"{key[:3]}-{len(kept) + 1}"
        now = datetime.now(UTC).isoformat()
        kept[named] = held_to(model, {**body, key: named, "created_at": now})
        made: dict[str, Any] = kept[named]
        return made

    @staticmethod
    def _kept(found: dict[str, dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        """Those that the filter of a request lets through, the latest first."""
        kept = list(found.values())[::-1]
        if "filter" not in query:
            return kept
        for told in json.loads(query["filter"])["predicates"]:
            operation = {str: told["operation"], int: ("", "EQUALS")[told["operation"] == 1]}
            wanted, key = told.get("stringValue", told.get("string_value")), told["key"]
            seen = {"name": "display_name"}.get(key, key)
            if operation.get(type(told["operation"])) == "EQUALS":
                kept = [one for one in kept if one[seen] == wanted]
            elif told["operation"] == "IS_SUBSTRING":
                kept = [one for one in kept if wanted in one[seen]]
            else:
                raise ValueError(f"filter: {told}")
        return kept


def _of(pipeline: dict[str, Any]) -> str | None:
    """Whose a pipeline is; nobody's is everybody's."""
    return pipeline.get("namespace")


def sent(headers: Message, content: bytes) -> Any:
    """What a request carries: JSON, or the pipeline in its one file."""
    if "multipart" not in headers.get("Content-Type", ""):
        return json.loads(content) if content else None
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + content).walk()
    (file,) = (part.get_payload(decode=True) for part in parts if part.get_filename())
    documents = yaml.safe_load_all(file)
    return dict(zip(("pipeline_spec", "platform_spec"), documents, strict=True))


@contextmanager
def serving(backend: Backend) -> Iterator[Backend]:
    """The API at `backend.url`."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = sent(self.headers, self.rfile.read(length))
            try:
                if backend.token and self.headers.get("Authorization") != f"Bearer {backend.token}":
                    status, told = 401, {"error": "Unauthenticated"}
                else:
                    status = 200
                    told = backend.answer(self.command, address.path, query, body)
            except KeyError as error:
                status, told = 404, {"error": f"not found: {error}"}
            except (ValueError, json_format.ParseError) as error:
                status, told = 400, {"error": f"invalid: {error}"}
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with listening(Handler) as backend.url:
        yield backend
