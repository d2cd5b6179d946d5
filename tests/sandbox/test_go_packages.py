"""Where Go and its compiled packages are looked for."""

from pathlib import Path

import pytest

from roundsmith.sandbox import go_packages, languages


def test_a_go_that_does_not_say_its_version_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").touch(0o755)
    monkeypatch.setattr(go_packages, "ROOTS", (str(tmp_path),))
    assert "go" in languages.find()[1]
    (tmp_path / "VERSION").write_text("go1.0\n")
    assert go_packages.root() == str(tmp_path)
