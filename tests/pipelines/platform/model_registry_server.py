"""A Model Registry on loopback, as far as models, versions and their files are entered and found.

It keeps what it is told, and no more. Each request is held to the models of `mr_openapi`, which are
made from the registry's own description of its API.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import mr_openapi  # type: ignore[import-untyped]  # ships no types

from tests.pipelines.platform.loopback import listening

Kept = dict[str, Any]
MADE = {
    "registered_models": ("registered_model", "RegisteredModel"),
    "model_versions": ("model_version", "ModelVersion"),
    "artifacts": ("model_artifact", "ModelArtifact"),
}
"""By the last word of where each is made: the word where it is found, and what it is called."""


def held_to(model: str, told: Kept) -> Kept:
    """The body as the model of the API has it; raises ValueError for anything it does not know."""
    made = getattr(mr_openapi, model).from_dict(told)
    understood: Kept = json.loads(made.to_json())
    if lost := {name for name in told if told[name] != understood.get(name)}:
        raise ValueError(f"{model}: not known or not so: {sorted(lost)}")
    return understood


@dataclass
class Registry:
    """What was entered."""

    versions: tuple[str, ...] = ("v1", "v1alpha3")
    """Of the API."""
    token: str = ""
    """What every request must show; empty asks for none."""
    entries: dict[str, list[Kept]] = field(default_factory=lambda: {name: [] for name in MADE})
    refusing: str = ""
    """Where nothing can be made for now, by its last word."""
    beside: bool = False
    """Whether somebody else makes the same a moment before each request to make it."""
    elsewhere: str = ""
    """A page for people, which all are sent to."""
    url: str = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The status and body of the answer."""
        version, *words = path.removeprefix("/api/model_registry/").split("/")
        if version not in self.versions:
            return 404, {"code": "", "message": "not found"}
        if method == "POST":
            return self._made(words, body)
        found = {one: many for many, (one, _) in MADE.items()}
        if words[-1] in found:
            kept = [e for e in self.entries[found[words[-1]]] if _is(e, query)]
            return (200, kept[0]) if len(kept) == 1 else (404, {"message": f"{len(kept)} found"})
        items = self.entries[words[-1]][: int(query["pageSize"])]
        return 200, {"items": items, "pageSize": 1, "size": len(items), "nextPageToken": ""}

    def _made(self, words: list[str], body: Kept) -> tuple[int, Any]:
        many = words[-1]
        if many == self.refusing:
            return 503, {"code": "", "message": "no database"}
        one = held_to(f"{MADE[many][1]}Create", body)
        parent = one.get("registeredModelId") or (words[-2] if many == "artifacts" else None)
        if self.beside:
            self._keep(many, one, parent)
        if any(e["name"] == one["name"] and e["parent"] == parent for e in self.entries[many]):
            return 409, {"code": "", "message": f"{one['name']} already exists"}
        return 201, self._keep(many, one, parent)

    def _keep(self, many: str, one: Kept, parent: str | None) -> Kept:
        number = str(1 + sum(map(len, self.entries.values())))
        kept = held_to(MADE[many][1], {**one, "id": number}) | {"parent": parent}
        self.entries[many].append(kept)
        return kept


def _is(entry: Kept, query: dict[str, str]) -> bool:
    return (entry["name"], entry["parent"]) == (query["name"], query.get("parentResourceId"))


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """The API at `registry.url`."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, told = self._told(address.path, query, json.loads(content or b"null"))
            except ValueError as error:
                status, told = 400, {"code": "", "message": str(error)}
            if isinstance(told, dict):
                told = {name: value for name, value in told.items() if name != "parent"}
            answer = json.dumps(told).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", registry.elsewhere)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _told(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
            if registry.elsewhere:
                return 302, None
            if registry.token and self.headers.get("Authorization") != f"Bearer {registry.token}":
                return 401, {"message": "Unauthorized"}
            return registry.answer(self.command, path, query, body)

        do_GET = do_POST = _answer  # the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with listening(Handler) as registry.url:
        yield registry
