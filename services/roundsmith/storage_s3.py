"""S3 that is asked again when it does not answer, so that no run waits for ever.

s3fs asks again itself when a connection breaks or an answer stays out. A put waits for the server's
100 (Continue) before it sends anything, and no time-out of s3fs or the libraries below it runs
meanwhile: a server that stalls there is found here.
"""

import asyncio
import errno
from typing import Any

from fsspec.asyn import sync_wrapper  # type: ignore[import-untyped]  # ships no types
from s3fs import S3FileSystem  # type: ignore[import-untyped]  # ships no types

ATTEMPT_S = 120.0
"""For one request and what s3fs asks again of it; a part of 50 MiB is one request."""
ATTEMPTS = 4


class PatientS3(S3FileSystem):  # type: ignore[misc]  # ships no types
    """S3 whose requests are given up after `attempt_s` and made again, `attempts` times in all,
    with longer and longer pauses. `FSSPEC_S3='{"attempt_s": 30}'` in the environment sets them.
    """

    def __init__(
        self, *args: Any, attempt_s: float = ATTEMPT_S, attempts: int = ATTEMPTS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._attempt_s, self._attempts = attempt_s, attempts

    async def _call_s3(self, method: str, *arguments: Any, **options: Any) -> Any:
        for attempt in range(self._attempts):
            try:
                async with asyncio.timeout(self._attempt_s):
                    return await super()._call_s3(method, *arguments, **options)
            except TimeoutError:
                if attempt + 1 < self._attempts:
                    await asyncio.sleep(min(2.0**attempt, self._attempt_s))
        # fsspec takes the text from a TimeoutError, which ETIMEDOUT would make of this one.
        raise OSError(
            errno.EIO,
            f"no answer to {method} within {self._attempt_s:g} s, {self._attempts} times",
        )

    call_s3 = sync_wrapper(_call_s3)
