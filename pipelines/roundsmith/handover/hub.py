"""Pushing an exported folder to a model hub, by huggingface_hub's own client."""

import sys
from pathlib import Path
from typing import Literal

from roundsmith.config import offline
from roundsmith.errors import ConfigError, PlatformError

Kind = Literal["dataset", "model"]


def kind_of(folder: Path) -> Kind:
    """What an exported folder is. Raises ConfigError for another."""
    if not (folder / "README.md").is_file():
        raise ConfigError(
            f"{folder}: expected a folder that `roundsmith export` wrote, saw no README.md: export "
            "the data or the checkpoint first"
        )
    return "dataset" if (folder / "data").is_dir() else "model"


def push(folder: Path, repo: str, *, private: bool, endpoint: str | None = None) -> str:
    """Makes the repository where it is not there, and puts the folder into it as one commit; its
    URL. HF_ENDPOINT and HF_TOKEN say which hub and who.

    Raises ConfigError for a folder or a name that can not be pushed and when hubs may not be asked,
    PlatformError for what the hub answers.
    """
    kind = kind_of(folder)
    if offline():
        raise ConfigError(
            f"push {repo}: expected a hub that may be asked, saw HF_HUB_OFFLINE: unset it"
        )
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi(endpoint=endpoint)
    failures: tuple[type[BaseException], ...]
    failures = (HfHubHTTPError, OSError, ValueError, *_connection_errors())
    try:
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
        done = api.upload_folder(
            folder_path=str(folder),
            repo_id=repo,
            repo_type=kind,
            commit_message=f"{kind} by Roundsmith",
        )
    except HFValidationError as error:
        raise ConfigError(f"push {repo!r}: expected OWNER/NAME, saw: {error}") from error
    except failures as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PlatformError(
            f"push {repo}: expected {api.endpoint} to take it, saw: {first}: check the connection, "
            "HF_ENDPOINT, and a token in HF_TOKEN that may write there"
        ) from error
    return str(done.commit_url)


def _connection_errors() -> tuple[type[Exception], ...]:
    """What the HTTP library of the hub's client raises when there is no connection; which library
    that is depends on the release of the client.
    """
    loaded = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return tuple(module.HTTPError for module in loaded)
