"""Leading Lyapunov exponents of a recipe, on its own grid with its own scheme, or of Kuramoto-Sivashinsky boxes.

    python benchmarks/lyapunov.py ks_l22                                 writes results/lyapunov_ks_l22.json
    python benchmarks/lyapunov.py navier_stokes --trajectories 4 --time 200
    python benchmarks/lyapunov.py --lengths 22 36 64 100 200             writes results/lyapunov_ks.json

By `rollwave.solvers.lyapunov`, averaged over independent trajectories after the recipe's warm-up and a fifth of the
time for the perturbations to find their directions. The standard error is that over trajectories.
"""

import argparse
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from rollwave.datasets import Recipe
from rollwave.solvers import Equation, Grid, KuramotoSivashinsky, RandomFourierSeries, Stepper, sample, simulate
from rollwave.solvers.lyapunov import DISTANCE, LyapunovExponents, lyapunov_exponents

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
# Steps and warm-up of the boxes; three points per unit length, as the equation asks for.
BOX_STEP, BOX_WARMUP = 0.05, 500.0


def recipe_of(name: str) -> Recipe:
    """The recipe that `generate.py dataset=<name>` would follow."""
    with initialize_config_dir(config_dir=str(ROOT / "configs"), version_base="1.3"):
        config = compose("generate", overrides=[f"dataset={name}"])
    return Recipe.from_dict(OmegaConf.to_container(config.dataset, resolve=True))


def measure(
    equation: Equation, grid: Grid, u: Tensor, scheme: type[Stepper], dt: float, warmup: float, settings: dict[str, Any]
) -> LyapunovExponents:
    """The leading exponent after a warm-up, of every trajectory."""
    interval, time = settings["interval"], settings["time"]
    u = simulate(equation, grid, u, interval=interval, frames=0, dt=dt, stepper=scheme, warmup=warmup)[:, 0]
    transient = round(0.2 * time / interval) * interval
    spans = {"time": time - transient, "transient": transient, "interval": interval}
    return lyapunov_exponents(equation, grid, u, dt=dt, stepper=scheme, seed=settings["seed"], **spans)


def of_recipe(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What results/lyapunov_<recipe>.json holds."""
    recipe = recipe_of(name)
    equation, grid, warmup = recipe.build_equation(), recipe.build_grid(), max(recipe.warmup, 50.0)
    u = sample(recipe.build_initial_condition(), grid, batch=settings["trajectories"], seed=settings["seed"])
    found = measure(equation, grid, u, recipe.stepper_class, recipe.dt, warmup, settings)
    return {
        "recipe": recipe.to_dict(),
        "exponent": found.mean[0].item(),
        "standard_error": found.standard_error[0].item(),
        "each_trajectory": found.each[:, 0].tolist(),
    }


def of_boxes(lengths: list[float], settings: dict[str, Any]) -> dict[str, Any]:
    """What results/lyapunov_ks.json holds: one entry per box, its exponent over the trajectories that stay chaotic."""
    points = [6 * round(length / 2) if length > 22 else 64 for length in lengths]
    boxes = []
    for length, count in zip(lengths, points, strict=True):
        equation, grid = KuramotoSivashinsky(), Grid((count,), (length,))
        start = RandomFourierSeries(modes=max(4, round(length / 9)), decay=0.0, rms=1.0)
        u = sample(start, grid, batch=settings["trajectories"], seed=settings["seed"])
        found = measure(equation, grid, u, equation.default_stepper, BOX_STEP, BOX_WARMUP, settings)
        chaotic = found.chaotic(round(300 / settings["interval"]))
        mean, error, settled = chaotic.mean[0].item(), chaotic.standard_error[0].item(), len(u) - len(chaotic.each)
        found_here = {"exponent": mean, "standard_error": error, "settled": settled}
        boxes.append({"length": length, "points": count, **found_here, "each_trajectory": found.each[:, 0].tolist()})
        print(f"L = {length:g}: {mean:.4f} +- {error:.4f} per time unit; {settled} of {len(u)} settled", flush=True)
    family = {"equation": {"_target_": "rollwave.solvers.KuramotoSivashinsky"}, "lengths": lengths, "points": points}
    return {"recipe": family | {"dt": BOX_STEP, "warmup": BOX_WARMUP}, "boxes": boxes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("recipe", nargs="?", help="name of a dataset's recipe")
    what.add_argument("--lengths", type=float, nargs="+", help="boxes of the Kuramoto-Sivashinsky equation")
    parser.add_argument("--trajectories", type=int, default=16)
    parser.add_argument("--time", type=float, default=3000.0)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    settings = {key: getattr(arguments, key) for key in ("trajectories", "time", "interval", "seed")}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    measured = of_boxes(arguments.lengths, settings) if arguments.lengths else of_recipe(arguments.recipe, settings)
    measured |= {
        "settings": settings | {"distance": DISTANCE},
        "versions": {"torch": torch.__version__, "python": platform.python_version(), "commit": commit.strip()},
        "device": "cpu",
    }
    path = RESULTS / f"lyapunov_{arguments.recipe or 'ks'}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measured, indent=1) + "\n")
    if arguments.recipe:
        print(f"{path.stem}: {measured['exponent']:.4f} +- {measured['standard_error']:.4f} per time unit")


if __name__ == "__main__":
    main()
