"""The README's Python runs, in order, as one session."""

import re
from pathlib import Path

import pytest


def test_every_python_block_of_the_readme_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 2
    monkeypatch.chdir(root)
    session: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), session)
    assert tuple(session["u"].shape) == (8, 21, 1, 64)  # type: ignore[attr-defined]
    assert tuple(session["prediction"].shape) == (8, 50, 1, 64)  # type: ignore[attr-defined]


def test_every_file_that_the_readme_links_to_exists(root: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (root / "README.md").read_text())
    assert links
    assert [link for link in links if "://" not in link and not (root / link).exists()] == []
