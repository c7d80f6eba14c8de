"""Which code and which machine computed a dataset."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import torch


def versions() -> dict[str, str]:
    """Versions of package and torch, commit of the solvers, kind of processor: what may move a last bit."""
    try:
        package = importlib.metadata.version("rollwave")
    except importlib.metadata.PackageNotFoundError:
        package = "unknown"
    return {
        "rollwave": package,
        "commit": commit(),
        "torch": torch.__version__,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {_processor()}".strip(),
    }


def commit() -> str:
    """The last commit that touched solvers or datasets in the checkout that tracks this file, `+changes` where they
    differ from it; `unknown` without a checkout.
    """
    here = Path(__file__).resolve()
    root = here.parent.parent
    if _git(root, "ls-files", "--error-unmatch", f"datasets/{here.name}") is None:
        return "unknown"
    last = _git(root, "log", "-1", "--format=%H", "--", "solvers", "datasets")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "solvers", "datasets")
    return last + ("+changes" if changed else "") if last else "unknown"


def _git(root: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
