"""What is told of storage that is this machine's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from roundsmith.errors import StoreError
from roundsmith.storage import read_file, replace_file
from tests.written import is_on_disk


@pytest.mark.parametrize("ask", [read_file, lambda url: replace_file(url, b"")])
def test_a_place_below_a_file_tells_the_file_and_nothing_of_credentials(
    ask: Callable[[str], object], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError) as told:
        ask(str(file / "runs" / "a.json"))
    assert f"{file} is a file: name a folder that is not below it" in str(told.value)
    assert "credentials" not in str(told.value)


def test_a_small_file_is_on_the_disk_when_it_is_there(tmp_path: Path) -> None:
    replace_file(str(tmp_path / "record.json"), b"{}")
    assert is_on_disk(tmp_path / "record.json")
