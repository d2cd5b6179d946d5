"""A Kubernetes API server that is away, or refuses: how long it is asked again, what is told."""

import json
import logging
import re
import time
from typing import Any

from roundsmith.errors import PlatformError

log = logging.getLogger(__name__)

PATIENCE_S = 120.0
"""How long an API server may be away before a run gives up; its pods go on meanwhile."""
_NO_TLS = 0
"""The client's status of a connection whose TLS failed, as of a server that ends or begins."""
_BUSY = (_NO_TLS, 429, 500, 502, 503, 504)
_WEBHOOK = "admission webhook"
_NOT_SEEN_YET = re.compile(rf"{_WEBHOOK} .* not found: .* must be created before", re.DOTALL)
"""What the trainer's webhook answers for a TrainJob whose TrainingRuntime was made just before: it
reads a cache of its own, which hears of it a moment later.
"""


class Outage:
    """A request that an API server does not do now: asked again, and told once, from the second
    time on. What broke with a connection and is done by the next one, nobody needs to hear of.
    """

    def __init__(self, request: str) -> None:
        self._request = request
        self._began_s, self._wait_s = time.monotonic(), 0.5
        self._times = 0

    @property
    def too_long(self) -> bool:
        """Whether it is time to give up."""
        return time.monotonic() - self._began_s > PATIENCE_S

    def wait(self, why: str) -> None:
        """Returns when it is time to ask again."""
        self._times += 1
        if self._times == 2:
            log.warning(
                "the Kubernetes API server does not %s now (%s): asking again for %.0f s at most; "
                "pods go on meanwhile",
                *(self._request, why, PATIENCE_S),
            )
        time.sleep(self._wait_s)
        self._wait_s = min(2 * self._wait_s, 10.0)

    def over(self) -> None:
        """The server answered."""
        if self._times > 1:
            away_s = time.monotonic() - self._began_s
            log.warning("the Kubernetes API server answers again, after %.0f s", away_s)


def passes(error: Any) -> bool:
    """Whether what an API server refused may be done a moment later."""
    return error.status in _BUSY or _NOT_SEEN_YET.search(message(error)) is not None


def message(error: Any) -> str:
    """What an API server says of its refusal."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return " ".join(str(error.reason).split())


def unanswered(request: str, why: str) -> PlatformError:
    """No answer to a request, `METHOD URL`, for as long as it is waited for."""
    return PlatformError(
        f"{request}: expected the Kubernetes API server to answer, saw {why}: check the "
        "kubeconfig and the network, and run again"
    )


def refused(request: str, error: Any) -> PlatformError:
    """The refusal of a request, `METHOD URL`, with its remedy."""
    if error.status == _NO_TLS:
        return unanswered(request, message(error))
    text, remedy = message(error), "correct what it names"
    if error.status == 401:
        remedy = "log in again, or name another kubeconfig by KUBECONFIG"
    elif error.status == 403 and not text.startswith(_WEBHOOK):
        remedy = "grant it: the chart's role for runs does"
    elif error.status == 404:
        missing = "pytorchjobs" in request
        remedy = "install the Training Operator" if missing else "check the namespace"
    return PlatformError(
        f"{request}: expected the Kubernetes API server to do it, saw status {error.status}: "
        f"{text}: {remedy}"
    )
