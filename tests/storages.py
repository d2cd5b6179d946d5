"""Storage to test on: a folder, fsspec's memory, and the S3 of whoever runs the tests."""

import os
import uuid
from functools import cache
from pathlib import Path

import fsspec  # type: ignore[import-untyped]  # ships no types
import pytest

S3 = "ROUNDSMITH_TEST_S3"
"""A bucket's URL, such as s3://bucket; its server and keys are in the AWS_* variables."""
REMOTE = ("memory", "s3")
EVERY = ("folder", *REMOTE)


def storage_url(kind: str, folder: Path) -> str:
    """A root of this kind that nothing else uses; skips where there is none."""
    match kind:
        case "folder":
            return str(folder / "storage")
        case "memory":
            return f"memory://{uuid.uuid4().hex}/storage"
    return f"{s3_bucket()}/{uuid.uuid4().hex}/storage"


def s3_bucket() -> str:
    """The URL of the bucket to test on, which is made if it is not there; skips without one."""
    if not (bucket := os.environ.get(S3, "").rstrip("/")):
        pytest.skip(f"needs an S3 bucket: {S3}=s3://BUCKET, and AWS_ENDPOINT_URL and its keys")
    _make(bucket)
    return bucket


@cache
def _make(bucket: str) -> None:
    fsspec.filesystem("s3").makedirs(bucket, exist_ok=True)
