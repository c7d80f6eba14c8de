"""Imports point down: the table of design.md, held against every import statement in the tree."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = {
    "solvers": {"kernels"},
    "kernels": set(),
    "datasets": {"solvers"},
    "operators": {"kernels"},
    "training": {"operators", "datasets"},
    "evaluation": {"operators", "datasets", "solvers"},
    "commands": set(),
    "solvers/validate": {"solvers"},
}
# Third-party packages that a folder may import, at the top of a file or inside a function.
OUTSIDE = {
    "solvers": {"torch", "numpy", "jaxtyping"},
    "kernels": {"torch", "numpy", "jaxtyping", "triton"},
    "solvers/validate": {"torch", "numpy"},
}


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Every absolute module name that a file imports, with its line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level > 1:
                found.append((node.lineno, "." * node.level))
            elif node.level == 0 and node.module == "rollwave":
                found += [(node.lineno, f"rollwave.{alias.name}") for alias in node.names]
            elif node.level == 0 and node.module:
                found.append((node.lineno, node.module))
    return found


def violations(folder: str, path: Path) -> list[str]:
    """The imports of `path` that the table forbids to `folder`."""
    wrong, own = [], f"rollwave.{folder.replace('/', '.')}"
    for line, name in imports_of(path):
        head, *rest = name.split(".")
        if head == "":
            wrong.append(f"{path.name}:{line} leaves its folder by a relative import")
        elif head == "rollwave":
            target = rest[0] if rest else ""
            if f"{name}.".startswith(f"{own}."):
                wrong.append(f"{path.name}:{line} imports its own folder absolutely: {name}")
            elif target not in ALLOWED[folder]:
                wrong.append(f"{path.name}:{line} {folder} may not import {name}")
        elif head in ALLOWED:
            wrong.append(f"{path.name}:{line} imports {name}; write rollwave.{name}")
        elif folder in OUTSIDE and head not in OUTSIDE[folder] and head not in sys.stdlib_module_names:
            wrong.append(f"{path.name}:{line} {folder} may not import {name}")
    return wrong


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_of_a_folder_point_down(folder: str, root: Path) -> None:
    files = sorted((root / folder).glob("*.py"))
    assert files
    assert [message for path in files for message in violations(folder, path)] == []


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("solvers", "import rollwave.datasets"),
        ("solvers", "from rollwave import training"),
        ("solvers", "import lightning"),
        ("operators", "from rollwave.solvers import Grid"),
        ("training", "from rollwave.evaluation import rollout"),
        ("datasets", "from ..solvers import Grid"),
        ("datasets", "from rollwave.datasets.layout import write"),
        ("evaluation", "import solvers"),
        ("solvers/validate", "import rollwave.datasets"),
        ("solvers/validate", "from rollwave.solvers.validate.case import Case"),
        ("solvers/validate", "import scipy"),
    ],
)
def test_the_walk_sees_a_forbidden_import(folder: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(f"def f():\n    {line}\n")
    assert len(violations(folder, path)) == 1


def test_the_solvers_need_torch_and_numpy_alone() -> None:
    script = """
import sys
for absent in ("jaxtyping", "lightning", "hydra", "h5py", "scipy", "matplotlib", "omegaconf", "yaml", "triton"):
    sys.modules[absent] = None
from rollwave.solvers import Burgers, Grid, simulate
grid = Grid((32,), (6.28,))
print(tuple(simulate(Burgers(), grid, Burgers().initial_condition(grid, batch=1), interval=0.1, frames=2).shape))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/")
    assert result.stdout.strip() == "(1, 3, 1, 32)", result.stderr


@pytest.mark.parametrize("module", ["rollwave.solvers", "rollwave.operators", "rollwave.kernels"])
def test_the_light_packages_import_nothing_heavy(module: str) -> None:
    heavy = "{'lightning', 'hydra', 'matplotlib', 'wandb', 'neuralop', 'h5py'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.strip() == "[]"
