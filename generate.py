"""Generate a dataset from its recipe, or check one: `python generate.py dataset=ks_l22 [verify=true]`."""

import sys
from pathlib import Path

# The root's folders `datasets` and `kernels` would shadow other distributions of those names.
ROOT = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

from omegaconf import DictConfig, OmegaConf  # noqa: E402
from rich.console import Console  # noqa: E402

from rollwave.commands import command  # noqa: E402
from rollwave.datasets import DatasetError, Recipe, ensure_dataset, verify_dataset  # noqa: E402


def generate(config: DictConfig) -> Path:
    """Generate the dataset of a config, finish one that was interrupted, or verify it; returns its folder."""
    for key in ("verify", "overwrite"):
        if not isinstance(config[key], bool):
            raise ValueError(f"{key} must be true or false, got {config[key]!r}")
    recipe = Recipe.from_dict(OmegaConf.to_container(config.dataset, resolve=True))
    root = Path(config.paths.data)
    if config.verify:
        verify(root / recipe.name, samples=config.verify_samples, tolerance=config.verify_tolerance)
        return root / recipe.name
    return ensure_dataset(recipe, root, workers=config.workers, overwrite=config.overwrite)


def verify(folder: Path, *, samples: int, tolerance: float) -> None:
    """Print one line per check as it is done.

    Raises:
        DatasetError: one of them failed.
    """
    console = Console(soft_wrap=True, highlight=False, markup=False)
    failed = []
    for check in verify_dataset(folder, samples=samples, tolerance=tolerance):
        console.print(f"{'pass' if check.passed else 'FAIL'}  {check.subject:<40} {check.detail}")
        failed += [] if check.passed else [f"{check.subject}: {check.detail}"]
    if failed:
        raise DatasetError(
            f"dataset {folder} failed {len(failed)} checks:\n  "
            + "\n  ".join(failed)
            + "\ncopy it again from where it is whole, or generate it again with overwrite=true"
        )


if __name__ == "__main__":
    command(generate, __file__)
