"""What each recipe of configs/dataset costs and how well it is solved, measured, and the page `docs/datasets.md`.

    python benchmarks/recipes.py                     every recipe whose present values have not been measured yet
    python benchmarks/recipes.py ks_l22 fno_burgers  these, again
    python benchmarks/recipes.py --page              writes the page alone

Each recipe goes twice through `ensure_dataset` into a temporary folder, on one thread: with few trajectories and no
certificate, for the time and the bytes of a trajectory, and with one trajectory, for the certificate. A recipe that
would take less than three minutes is generated in full instead. Grid, step and frames are always those of the recipe.
Seconds are processor time, which other work on the machine moves little. Results merge, recipe by recipe, into
results/recipes.json.
"""

import argparse
import dataclasses
import functools
import json
import math
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from recipes_page import page, title_of

from rollwave.datasets import CertificateError, Recipe, ensure_dataset
from rollwave.datasets.layout import CHUNK_FRAMES, read_manifest
from rollwave.datasets.metadata import SPLITS

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "configs" / "dataset"
RESULTS = ROOT / "benchmarks" / "results" / "recipes.json"
PAGE = ROOT / "docs" / "datasets.md"
# Seconds below which a recipe is generated in full.
FULL = 180.0
# Trajectories of the reduced run in two dimensions, where a trajectory has at most MUCH steps times points, and beyond;
# in one dimension they are a block of each split.
FEW, ONE = {"train": 4, "valid": 1, "test": 1}, {"train": 1, "valid": 0, "test": 0}
MUCH = 3e8
# Keys on which no measurement depends.
NEUTRAL = ("train", "valid", "test", "lyapunov_exponent")


def names() -> list[str]:
    """The recipes that are shipped."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


@functools.cache
def recipe_of(name: str) -> Recipe:
    """The recipe that `generate.py dataset=<name>` would follow."""
    with initialize_config_dir(config_dir=str(ROOT / "configs"), version_base="1.3"):
        config = compose("generate", overrides=[f"dataset={name}"])
    return Recipe.from_dict(OmegaConf.to_container(config.dataset, resolve=True))


def what_counts(recipe: dict[str, Any]) -> dict[str, Any]:
    """What a measurement depends on: a recipe's values but the numbers of trajectories and the Lyapunov exponent."""
    return {key: value for key, value in recipe.items() if key not in NEUTRAL}


def steps_of(recipe: Recipe, split: str) -> int:
    """Steps of a trajectory, the warm-up's included."""
    return round((recipe.warmup + (recipe.frames_of(split) - 1) * recipe.interval) / recipe.dt)


def frames(recipe: Recipe, split: str) -> int:
    """Frames of a trajectory that take room on the disk: its last chunk is stored whole."""
    length = min(CHUNK_FRAMES, recipe.frames_of(split))
    return length * -(-recipe.frames_of(split) // length)


def all_frames(recipe: Recipe) -> int:
    """The same of all trajectories."""
    return sum(recipe.count(split) * frames(recipe, split) for split in SPLITS)


def files(recipe: Recipe) -> int:
    """Files that hold all trajectories."""
    return sum(-(-recipe.count(split) // recipe.trajectories_per_file) for split in SPLITS)


def sizes(recipe: Recipe, sample: Recipe, size: int) -> dict[str, int]:
    """Bytes of a recipe's data, where fewer of its trajectories took `size`: their fields, and as much more a file."""
    frame = 4 * math.prod(recipe.stored_points) * len(recipe.build_equation().channels)
    more = (size - frame * all_frames(sample)) / files(sample)
    return {
        "bytes_per_trajectory": frame * frames(recipe, "train"),
        "bytes": round(frame * all_frames(recipe) + more * files(recipe)),
    }


def computed_steps(recipe: Recipe) -> int:
    """Steps of all trajectories that are computed: blocks are completed where a split ends inside one."""
    blocks = {split: -(-recipe.count(split) // recipe.block) for split in SPLITS}
    return sum(blocks[split] * recipe.block * steps_of(recipe, split) for split in SPLITS)


def reduced(recipe: Recipe) -> Recipe:
    """The same trajectories, fewer of them, in blocks that they fill."""
    if len(recipe.points) > 1:
        much = steps_of(recipe, "train") * math.prod(recipe.points) > MUCH
        return dataclasses.replace(recipe, **(ONE if much else FEW), block=1)
    return dataclasses.replace(recipe, train=recipe.block, valid=0, test=min(recipe.test, recipe.block))


def generated(recipe: Recipe) -> tuple[dict[str, Any], float, float, int]:
    """Manifest, seconds of processor and of wall clock, and bytes of the data of a dataset that is then discarded."""
    with tempfile.TemporaryDirectory() as root:
        begin, wall = time.process_time(), time.perf_counter()
        folder = ensure_dataset(recipe, root, workers=1)
        seconds, wall = time.process_time() - begin, time.perf_counter() - wall
        manifest = read_manifest(folder)
        assert manifest is not None
        return manifest, seconds, wall, sum(path.stat().st_size for path in folder.rglob("*.hdf5"))


def measure(name: str) -> dict[str, Any]:
    """The entry of a recipe in results/recipes.json."""
    recipe = recipe_of(name)
    unchecked = dataclasses.replace(recipe, certificate=dataclasses.replace(recipe.certificate, samples=0))
    sample = reduced(unchecked)
    _, seconds, wall, size = generated(sample)
    full = seconds / computed_steps(sample) * computed_steps(unchecked) < FULL
    if full:
        sample = unchecked
        _, seconds, wall, size = generated(sample)
    certified, certificate_seconds, _, _ = generated(dataclasses.replace(recipe, train=1, valid=0, test=0, block=1))
    per_step = seconds / computed_steps(sample)
    return {
        "recipe": recipe.to_dict(),
        "certificate": certified["certificate"],
        "certificate_seconds": certificate_seconds,
        "measured": {
            "in_full": full, "seconds": seconds, "wall_seconds": wall, "bytes": size, "block": sample.block,
            **{split: sample.count(split) for split in SPLITS},
        },
        "seconds_per_trajectory": per_step * steps_of(recipe, "train"),
        "seconds": per_step * computed_steps(recipe),
        **sizes(recipe, sample, size),
        "versions": certified["versions"] | {"python": platform.python_version()},
    }  # fmt: skip


def kept() -> dict[str, Any]:
    """What has been measured, by recipe."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    return found


def keep(name: str, entry: dict[str, Any]) -> None:
    """Put an entry beside the others, by a rename, so that a kill loses none."""
    merged = dict(sorted((kept() | {name: entry}).items()))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    partial = RESULTS.with_suffix(f".{os.getpid()}.tmp")
    partial.write_text(json.dumps(merged, indent=1) + "\n")
    partial.replace(RESULTS)


def is_measured(name: str) -> bool:
    """Whether the kept entry is that of the recipe's present values."""
    entry = kept().get(name)
    return entry is not None and what_counts(entry["recipe"]) == what_counts(recipe_of(name).to_dict())


def text() -> str:
    """The page that belongs to the present recipes and measurements."""
    recipes = {name: recipe_of(name) for name in names()}
    return page(kept(), recipes, {name: title_of(RECIPES / f"{name}.yaml") for name in recipes})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="recipes to measure; without, those not measured yet")
    parser.add_argument("--page", action="store_true", help="measure nothing, write docs/datasets.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    missed: list[str] = []
    for name in [] if arguments.page else arguments.names or [name for name in names() if not is_measured(name)]:
        try:
            entry = measure(name)
        except CertificateError as error:
            missed.append(str(error))
            continue
        keep(name, entry)
        found = entry["certificate"] or {}
        print(name, f"{entry['seconds']:.0f} s", found.get("step_error"), found.get("grid_error"), flush=True)
    PAGE.write_text(text())
    sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
