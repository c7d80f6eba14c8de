"""Roll an emulator out over a dataset, and report how long, and in what sense, it stays right.

    python evaluate.py checkpoint=logs/train/ks_l22/<time> dataset=ks_l22
    python evaluate.py checkpoint=pretrained/ks_fno dataset=ks_l22 steps=200 animation=gif
    python evaluate.py checkpoint=pretrained/ks_fno dataset=/path/to/the_well/folder

Writes `report.md`, `metrics.json` and figures into the run folder, which it prints first and last.
"""

import re
import sys
from pathlib import Path

# The checkout's `datasets` and `kernels` would shadow other distributions of those names.
ROOT = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

from omegaconf import DictConfig  # noqa: E402

from rollwave.commands import command, register_resolvers  # noqa: E402
from rollwave.evaluation import Settings, load_emulator  # noqa: E402
from rollwave.evaluation import evaluate as evaluate_emulator  # noqa: E402

COMMAND = " ".join(["python evaluate.py", *sys.argv[1:]])
# A run's folder is named after the dataset, which may be given as a path.
register_resolvers()


def evaluate(cfg: DictConfig) -> Path:
    """The folder of the report that `cfg` asks for."""
    for key in ("checkpoint", "dataset_folder"):
        if cfg[key] is None:
            name = key.removesuffix("_folder")
            raise ValueError(f"{name} is missing; type python evaluate.py checkpoint=<folder> dataset=<name or path>")
    settings = Settings(
        split=cfg.split,
        steps=cfg.steps,
        window_stride=cfg.window_stride,
        batch_size=cfg.batch_size,
        device=cfg.device,
        perturbation=float(cfg.perturbation) if isinstance(cfg.perturbation, int) else cfg.perturbation,
        extend=cfg.extend,
        animation=cfg.animation or None,
    )
    folder = find_dataset(str(cfg.dataset_folder), cfg.paths.data)
    emulator = load_emulator(str(cfg.checkpoint))
    evaluate_emulator(emulator, folder, output=cfg.folder, settings=settings, command=COMMAND)
    return Path(cfg.folder)


def find_dataset(dataset: str, root: str) -> Path:
    """A dataset of that name under `root`, or a path as it stands."""
    named, path = Path(root) / dataset, Path(dataset).expanduser()
    for candidate in (named, path):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"dataset={dataset}: there is neither {named} nor {path.resolve()}; "
        f"generate it with `python generate.py dataset={dataset}`, or give the path of its folder"
    )


def as_values(arguments: list[str]) -> list[str]:
    """Arguments with `dataset=` renamed to `dataset_folder=`: `dataset` is the group of recipes, whose members alone
    Hydra would accept, and a path is none of them.
    """
    return [re.sub(r"^dataset=", "dataset_folder=", argument) for argument in arguments]


if __name__ == "__main__":
    sys.argv[1:] = as_values(sys.argv[1:])
    command(evaluate, __file__)
