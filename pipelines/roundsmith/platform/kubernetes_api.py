"""The Kubernetes API as far as runs and trainings need it: JSON in, JSON out, and patience."""

import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any, Literal

from roundsmith.errors import PlatformError
from roundsmith.kubernetes_login import log_in
from roundsmith.platform.api_server import Outage, message, passes, refused, unanswered

log = logging.getLogger(__name__)

Json = dict[str, Any]
Kind = Literal[
    "pytorchjobs",
    "trainjobs",
    "trainingruntimes",
    "inferenceservices",
    "jobs",
    "pods",
    "configmaps",
    "events",
]
PATHS: dict[Kind, str] = {
    "pytorchjobs": "/apis/kubeflow.org/v1",
    "trainjobs": "/apis/trainer.kubeflow.org/v1alpha1",
    "trainingruntimes": "/apis/trainer.kubeflow.org/v1alpha1",
    "inferenceservices": "/apis/serving.kserve.io/v1beta1",
    "jobs": "/apis/batch/v1",
    "pods": "/api/v1",
    "configmaps": "/api/v1",
    "events": "/api/v1",
}
TIMEOUT_S = 30
SLOW_S = 30.0
"""How long an object may take to go before a word is said of it."""
_NOTHING = {"GET": (400, 404), "DELETE": (404, 409)}
"""What says that there is nothing, or that what is meant by its uid is there no more."""
_GONE = re.compile(r"unable to retrieve container logs for \w+://\w+\n?")
"""What a kubelet answers, as if it were the log, for a container that its runtime has removed."""
_WHEN = ("lastTimestamp", "eventTime")  # an event of the newer kind has no last time


class KubernetesApi:
    """One namespace. Blocking: called in threads. Within a pod it uses the pod's service account,
    elsewhere the user's kubeconfig.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._client = log_in()

    def get(self, kind: Kind, name: str) -> Json | None:
        """An object, or None when there is none."""
        return self._ask("GET", kind, name, absent=404)

    def serves(self, kind: Kind) -> bool:
        """Whether the API server knows this kind: whoever can log in may ask."""
        text = self._ask_text(PATHS[kind], {})
        resources = json.loads(text)["resources"] if text else []
        return any(resource["name"] == kind for resource in resources)

    def read(self, path: str) -> Json | None:
        """What is at a path of the API, or None where there is nothing or it may not be seen."""
        try:
            text = self._ask_text(path, {})
        except PlatformError:
            return None
        return None if text is None else dict(json.loads(text))

    def allowed(self, verb: str, resource: str, group: str = "", name: str = "") -> bool:
        """Whether this login may do it in the namespace; `resource` may be `pods/log`."""
        resource, _, part = resource.partition("/")
        asked = {"namespace": self.namespace, "verb": verb, "group": group, "resource": resource}
        asked |= {"subresource": part, "name": name}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        body = {**kind, "spec": {"resourceAttributes": asked}}
        text = self._ask_text(path, {}, "POST", body)
        return bool(text and json.loads(text)["status"]["allowed"])

    def wait(self, kind: Kind, seen: Json, wait_s: float) -> None:
        """Returns as soon as an object is no longer as it was `seen`, and after `wait_s` at the
        latest: ask for it then. A connection that breaks ends the wait, and costs nothing else.
        """
        import urllib3
        from kubernetes.client.exceptions import (  # type: ignore[import-untyped]  # no types
            ApiException,
        )

        metadata = seen["metadata"]
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={metadata['name']}",
            "resourceVersion": str(metadata["resourceVersion"]),
            "timeoutSeconds": str(max(1, round(wait_s))),
        }
        began_s = time.monotonic()
        try:
            answer = self._call("GET", self._url(kind), query, None, read_s=TIMEOUT_S)
            try:
                if next(answer.stream(decode_content=False), None) is not None:
                    return
            finally:
                answer.close()
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            log.debug("the watch of %s ended: %s", metadata["name"], error)
        time.sleep(max(0.0, wait_s - (time.monotonic() - began_s)))

    def select(self, kind: Kind, label: str, value: str = "") -> list[Json]:
        """The objects with this label; without a value, whatever its value is."""
        selector = f"{label}={value}" if value else label
        found = self._ask("GET", kind, query={"labelSelector": selector})
        assert found is not None
        items: list[Json] = found["items"]
        return items

    def warned(self, name: str, after: str = "") -> str:
        """What Kubernetes last warned of an object, after a time; empty where that is not seen."""
        query = {"fieldSelector": f"type=Warning,involvedObject.name={name}"}
        try:
            found = self._ask("GET", "events", query=query)
        except PlatformError as error:
            log.debug("%s", error)
            return ""
        events = (found or {}).get("items", ())
        told = [(max(e.get(k) or "" for k in _WHEN)[:19], e) for e in events]  # whole seconds
        later = [each for each in told if each[0] > after[:19] or not after]
        _, last = max(later, key=lambda each: each[0], default=("", None))
        return f"{last.get('reason')}: {last.get('message')}" if last else ""

    def create(self, kind: Kind, manifest: Json) -> Json | None:
        """The object as it was created, or None when the name is taken."""
        return self._ask("POST", kind, body=manifest, absent=409)

    def patch(self, kind: Kind, name: str, change: Json) -> Json | None:
        """The object as it is with these fields, None where there is none; the rest of it stays."""
        return self._ask("PATCH", kind, name, body=change, absent=404)

    def delete(self, kind: Kind, name: str) -> None:
        """Remove an object with all that it owns, if it is there; returns when it is gone, and says
        meanwhile what holds it. One of its name that somebody else makes meanwhile stays.
        """
        options: Json = {"propagationPolicy": "Foreground"}
        wait_s, began_s, told_s = 0.2, time.monotonic(), SLOW_S
        while (there := self._ask("DELETE", kind, name, body=options, absent=404)) is not None:
            # The object, or a Status that tells of it: from now on this one alone is meant.
            uid = there.get("metadata", {}).get("uid") or there.get("details", {}).get("uid")
            if uid:
                options["preconditions"] = {"uid": uid}
            if (waited_s := time.monotonic() - began_s) > told_s:
                told_s *= 2
                held = there.get("metadata", {}).get("finalizers") or "pods that have not ended"
                log.warning("%s %s: removed %.0f s ago, held by %s", kind, name, waited_s, held)
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, 2.0)

    def log(self, pod: str, container: str, lines: int, *, previous: bool = False) -> str:
        """The last lines that a container printed, or its forerunner; empty when they are gone."""
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        text = self._ask_text(f"{self._url('pods', pod)}/log", query) or ""
        return "" if _GONE.fullmatch(text) else text

    def follow(self, pod: str, container: str, since: str = "") -> Iterator[tuple[str, str]]:
        """The lines of a container as they come, each with its time, from the time `since` on (its
        own line included); ends with the container, when the connection does, and after a while of
        silence, in which a connection may have been lost unseen.
        """
        import urllib3
        from kubernetes.client.exceptions import ApiException

        query = {"container": container, "follow": "true", "timestamps": "true"}
        if since:
            query["sinceTime"] = since
        url = f"{self._url('pods', pod)}/log"
        try:
            answer = self._call("GET", url, query, None, read_s=TIMEOUT_S)
            buffer = b""
            for chunk in answer.stream(decode_content=False):
                *whole, buffer = (buffer + chunk).split(b"\n")
                yield from map(_timed, whole)
            # A container's last line may have no end.
            if buffer and not _GONE.fullmatch(buffer.decode("utf-8", "replace")):
                yield _timed(buffer)
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            log.debug("the log of %s ended: %s", pod, error)

    def _ask(
        self,
        method: str,
        kind: Kind,
        name: str = "",
        *,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        absent: int | None = None,
    ) -> Json | None:
        text = self._ask_text(self._url(kind, name), query or {}, method, body, absent)
        return None if text is None else dict(json.loads(text))

    def _ask_text(
        self,
        url: str,
        query: dict[str, str],
        method: str = "GET",
        body: Json | None = None,
        absent: int | None = 404,
    ) -> str | None:
        """The answer's text, or None for the status `absent`; asks again while the server is away.

        Raises PlatformError.
        """
        import urllib3
        from kubernetes.client.exceptions import ApiException

        request = f"{method} {url}"
        outage = Outage(request)
        while True:
            try:
                answer = self._call(method, url, query, body, read_s=TIMEOUT_S)
                outage.over()
                return str(answer.data.decode("utf-8", "replace"))
            except ApiException as error:
                if error.status == absent or error.status in _NOTHING.get(method, ()):
                    outage.over()
                    return None
                if not passes(error) or outage.too_long:
                    raise refused(request, error) from error
                why = f"status {error.status}, {message(error)}" if error.status else message(error)
            except urllib3.exceptions.HTTPError as error:
                if outage.too_long:
                    raise unanswered(request, str(error)) from error
                why = str(error)
            outage.wait(why)

    def _call(
        self,
        method: str,
        url: str,
        query: dict[str, str],
        body: Json | None,
        read_s: int,
    ) -> Any:
        sent = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return self._client.call_api(
            url,
            method,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": sent},
            body=body,
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _preload_content=False,
            _request_timeout=(TIMEOUT_S, read_s),
        )

    def _url(self, kind: Kind, name: str = "") -> str:
        base = f"{PATHS[kind]}/namespaces/{self.namespace}/{kind}"
        return f"{base}/{name}" if name else base


def _timed(line: bytes) -> tuple[str, str]:
    """A line of a log, its time apart."""
    time_, _, text = line.decode("utf-8", "replace").partition(" ")
    return time_, text
