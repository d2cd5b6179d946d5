"""Storage to test on: a folder, fsspec's memory, and the S3 of whoever runs the tests."""

import os
import uuid
from pathlib import Path

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
    """The URL of the bucket to test on; skips where there is none."""
    if not (bucket := os.environ.get(S3, "")):
        pytest.skip(f"needs an S3 bucket: {S3}=s3://BUCKET, and AWS_ENDPOINT_URL and its keys")
    return bucket.rstrip("/")
