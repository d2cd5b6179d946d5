"""Kubeflow's Model Registry by its REST API: a model, its versions, and where their files are."""

import json
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from roundsmith.errors import PlatformError

VERSIONS = ("v1", "v1alpha3")
"""Of the API, the newest first; that of Kubeflow 26.03 knows the second alone."""
TIMEOUT_S = 30.0
SEEN = 300
"""Characters of an answer that an error shows."""
Entry = dict[str, Any]
Value = str | int | float


class ModelRegistry:
    """One registry. Blocking. Every method raises PlatformError where it does not do as told."""

    def __init__(self, host: str, token: str = "") -> None:
        """`token` is a file that holds one, which is read again for each request."""
        self._host, self._token = host.rstrip("/"), token
        self._opener = build_opener(_NoRedirect)
        self._version = ""

    def reached(self) -> str:
        """The version of the API that is spoken with it; the first request finds it."""
        if not self._version:
            listing = "registered_models?pageSize=1"
            known = (v for v in VERSIONS if self._ask(f"/{v}/{listing}") is not None)
            if (found := next(known, None)) is None:
                raise PlatformError(
                    f"{self._host}: expected a Model Registry, saw no /api/model_registry of the "
                    f"versions {', '.join(VERSIONS)}: change modelRegistry.host of the chart"
                )
            self._version = found
        return self._version

    def model(self, name: str, told: Mapping[str, Any]) -> str:
        """The id of the model of this name, which is made with what is told if there is none."""
        found = ("registered_model", {"name": name})
        return self._kept(*found, "registered_models", {"name": name, **told})[0]

    def version(self, model: str, name: str, told: Mapping[str, Any]) -> tuple[str, bool]:
        """The id of a model's version, in the same way, and whether it is new."""
        found = ("model_version", {"name": name, "parentResourceId": model})
        body = {"name": name, "registeredModelId": model, **told}
        return self._kept(*found, "model_versions", body)

    def artifact(self, version: str, name: str, told: Mapping[str, Any]) -> str:
        """The id of the files of a version, in the same way."""
        found = ("model_artifact", {"name": name, "parentResourceId": version})
        body = {"artifactType": "model-artifact", "name": name, **told}
        return self._kept(*found, f"model_versions/{version}/artifacts", body)[0]

    def _kept(
        self, one: str, wanted: Mapping[str, str], many: str, body: Entry
    ) -> tuple[str, bool]:
        """The id of what is wanted, made if there is none; of two who make it one is refused, and
        finds the other's.
        """
        where = f"/{self.reached()}"
        question = f"{where}/{one}?{urlencode(wanted)}"
        if (found := self._ask(question)) is not None:
            return str(found["id"]), False
        try:
            made = self._ask(f"{where}/{many}", body)
        except PlatformError:
            if (found := self._ask(question)) is None:
                raise
            return str(found["id"]), False
        if made is None:
            raise PlatformError(f"{self._host}{where}/{many}: expected an entry, saw 404")
        return str(made["id"]), True

    def _ask(self, path: str, body: Entry | None = None) -> Entry | None:
        """The answer to a GET, or to a POST of a body; None for 404."""
        url = f"{self._host}/api/model_registry{path}"
        request = Request(url, None if body is None else json.dumps(body).encode())
        request.add_header("Accept", "application/json")
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_unredirected_header("Authorization", f"Bearer {self._shown()}")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                told = json.loads(answer.read())
        except HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                seen = f"{error.code} {error.read()[:SEEN].decode(errors='replace')}"
            raise PlatformError(f"{url}: expected an answer, saw {seen}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise PlatformError(
                f"{url}: expected the JSON of a Model Registry, saw {error}: check "
                "modelRegistry.host and modelRegistry.namespace of the chart"
            ) from error
        if not isinstance(told, dict):
            raise PlatformError(f"{url}: expected the JSON of a Model Registry, saw {told!r:.80}")
        return told

    def _shown(self) -> str:
        try:
            return Path(self._token).read_text("utf-8").strip()
        except OSError as error:
            raise PlatformError(
                f"modelRegistry.token: expected a file with a token, saw {error}"
            ) from error


class _NoRedirect(HTTPRedirectHandler):
    """Follows nobody elsewhere, such as to a page for people who log in: that is an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


def properties(told: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """What the registry calls custom properties; its integers are texts."""
    return {name: _property(value) for name, value in told.items()}


def _property(value: Value) -> dict[str, Value]:
    match value:
        case int():
            return {"metadataType": "MetadataIntValue", "int_value": str(value)}
        case float():
            return {"metadataType": "MetadataDoubleValue", "double_value": value}
    return {"metadataType": "MetadataStringValue", "string_value": value}
