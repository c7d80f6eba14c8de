"""Leading Lyapunov exponent of a recipe's equation, on its own grid, with its own scheme and step.

    python benchmarks/lyapunov.py ks_l22                                 writes results/lyapunov_ks_l22.json
    python benchmarks/lyapunov.py navier_stokes --pairs 4 --time 200

Benettin's method: of two solutions a distance `d0` apart, the second is drawn back to that distance every `interval`,

    lambda = 1/T sum_n log( |u'(t_n) - u(t_n)| / d0 ),

averaged over independent pairs after the recipe's warm-up and a fifth of the time for the difference to find its
direction. The standard error is that over pairs.

Reference:
    Benettin, Galgani, Giorgilli & Strelcyn (1980), Meccanica 15, 9-20, doi:10.1007/BF02128236.
"""

import argparse
import json
import math
import platform
import subprocess
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from rollwave.datasets import Recipe
from rollwave.solvers import simulate
from rollwave.solvers.initial_conditions import sample

ROOT = Path(__file__).resolve().parent.parent
DISTANCE = 1e-7


def recipe_of(name: str) -> Recipe:
    """The recipe that `generate.py dataset=<name>` would follow."""
    with initialize_config_dir(config_dir=str(ROOT / "configs"), version_base="1.3"):
        config = compose("generate", overrides=[f"dataset={name}"])
    return Recipe.from_dict(OmegaConf.to_container(config.dataset, resolve=True))


def norm(v: Tensor) -> Tensor:
    """Length of each sample, shaped to divide it."""
    return v.flatten(1).norm(dim=1).reshape(-1, *[1] * (v.ndim - 1))


def growth(recipe: Recipe, *, pairs: int, time: float, interval: float, seed: int) -> Tensor:
    """`log(|u' - u| / d0)` of every interval, `[interval, pair]`."""
    equation, grid = recipe.build_equation(), recipe.build_grid()
    u = sample(recipe.build_initial_condition(), grid, batch=pairs, seed=seed)
    u = simulate(equation, grid, u, interval=interval, frames=0, dt=recipe.dt, warmup=max(recipe.warmup, 50.0))[:, 0]
    noise = sample(recipe.build_initial_condition(), grid, batch=pairs, seed=seed + 1)
    noise = noise - noise.mean(grid.axes, keepdim=True)
    reference = norm(u)
    stepper = recipe.stepper_class(equation, grid, recipe.dt)
    steps, logs, difference = round(interval / recipe.dt), [], noise / norm(noise)
    for _ in range(round(time / interval)):
        state = stepper.encode(torch.cat([u, u + DISTANCE * reference * difference]))
        for _ in range(steps):
            state = stepper.step(state)
        u, other = stepper.decode(state).chunk(2)
        difference = (other - u) / (DISTANCE * reference)
        logs.append(norm(difference).flatten().log())
        difference = difference / norm(difference)
    return torch.stack(logs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="name of a dataset's recipe")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--time", type=float, default=3000.0)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    recipe = recipe_of(arguments.recipe)
    settings = {key: getattr(arguments, key) for key in ("pairs", "time", "interval", "seed")}
    logs = growth(recipe, **settings)
    each = logs[len(logs) // 5 :].mean(0) / arguments.interval
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    measured = {
        "recipe": recipe.to_dict(),
        "exponent": each.mean().item(),
        "standard_error": each.std().item() / math.sqrt(arguments.pairs),
        "each_pair": each.tolist(),
        "settings": settings | {"distance": DISTANCE},
        "versions": {"torch": torch.__version__, "python": platform.python_version(), "commit": commit.strip()},
        "device": "cpu",
    }
    path = ROOT / "benchmarks" / "results" / f"lyapunov_{arguments.recipe}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(measured, indent=1) + "\n")
    print(f"{arguments.recipe}: {measured['exponent']:.4f} +- {measured['standard_error']:.4f} per time unit")


if __name__ == "__main__":
    main()
