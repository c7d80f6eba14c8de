"""The house is in order: every folder is packaged, typed and linked; nothing is said that should not be."""

import subprocess
import tomllib
from pathlib import Path

import yaml


def test_every_package_is_mapped_linked_and_typed(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    top = [path.parent for path in root.glob("*/__init__.py")]
    nested = [path.parent for folder in top for path in folder.glob("*/__init__.py")]
    folders = {path.relative_to(root).as_posix() for path in (*top, *nested)}
    packages = {f"rollwave.{folder.replace('/', '.')}": folder for folder in folders}
    assert set(packages) == set(settings["packages"])
    assert packages == settings["package-dir"]
    for folder in folders:
        assert (root / ".typing" / "rollwave" / folder).resolve() == root / folder
        assert (root / folder.split("/")[0] / "py.typed").exists()
        inside = [path for path in (root / folder).iterdir() if path.is_dir() and path.name != "__pycache__"]
        assert {f"{folder}/{path.name}" for path in inside} <= folders


def test_every_yaml_parses_and_uses_no_tab(root: Path) -> None:
    files = sorted((root / "configs").rglob("*.yaml"))
    assert files
    for path in files:
        assert "\t" not in path.read_text(), path
        assert isinstance(yaml.safe_load(path.read_text()) or {}, dict), path


def test_no_committed_file_is_large_or_names_a_machine(root: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout.decode()
    files = [root / name for name in listed.split("\0") if name]
    assert [str(path) for path in files if path.is_file() and path.stat().st_size > 8 * 2**20] == []
    private = ["/" + "work/", "/" + "root/", "/" + "home/"]
    named = []
    for path in files:
        if path.is_file() and path.suffix in {".py", ".md", ".yaml", ".toml", ".json", ".txt", ".yml"}:
            named += [str(path) for word in private if word in path.read_text()]
    assert named == []
