"""The zygote's loop in C as Python sees it."""

import subprocess
from pathlib import Path

import pytest

from roundsmith.sandbox import launcher
from roundsmith.sandbox.launcher import Launcher
from roundsmith.sandbox.zygote_loop import ZygoteLoop

SOURCES = Path(launcher.LIBRARY).parent


def test_a_library_of_another_layout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if launcher.compiled() is None:
        pytest.skip("there is no C compiler here")
    other = tmp_path / "forking.c"
    source = (SOURCES / "forking.c").read_text()
    other.write_text(source.replace("MOST_CHILDREN = 8", "MOST_CHILDREN = 9"))
    built = tmp_path / "forking.so"
    command = ["cc", "-shared", "-fPIC", f"-I{SOURCES}", "-o", str(built), str(other)]
    subprocess.run(command, check=True)
    before = Launcher((), None)
    for library, refused in ((launcher.LIBRARY, False), (str(built), True)):
        monkeypatch.setattr(launcher, "LIBRARY", library)
        found = launcher.compiled()
        assert found is not None
        if refused:
            with pytest.raises(OSError, match="by installing again"):
                ZygoteLoop(found, 0, 4, before, None)
        else:
            ZygoteLoop(found, 0, 4, before, None)


def test_a_library_that_lacks_what_is_called_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if launcher.compiled() is None:
        pytest.skip("there is no C compiler here")
    source, built = tmp_path / "launch.c", tmp_path / "forking.so"
    source.write_text((SOURCES / "launch.c").read_text())
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(built), str(source)], check=True)
    monkeypatch.setattr(launcher, "LIBRARY", str(built))
    with pytest.raises(OSError, match="compile it anew, by installing again"):
        launcher.compiled()
