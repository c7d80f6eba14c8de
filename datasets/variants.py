"""Datasets that differ from one another in a coefficient of the equation."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .generation import ensure_dataset
from .recipe import Recipe


def ensure_variants(recipe: Recipe, values: Mapping[str, Sequence[float]], root: str | Path) -> list[Path]:
    """Folders of datasets like `recipe` but for one coefficient each, generated or finished first where needed.

    All have the same initial fields, so what differs between two of them is the equation's doing. Their names are
    `<name>_<coefficient>_<value>`.

    Args:
        values: of each coefficient that is varied, by name; every value makes a dataset.

    Raises:
        ValueError: the recipe's equation has no coefficient of that name.
        CertificateError: the truth at that value misses the recipe's tolerance: its grid or step is for another one.
    """
    missing = [name for name in values if name not in recipe.equation]
    if missing:
        stated = sorted(set(recipe.equation) - {"_target_"})
        raise ValueError(f"the equation of dataset '{recipe.name}' states no {missing}; it states {stated}")
    # The exponent is that of the recipe's own coefficients.
    plain = replace(recipe, lyapunov_exponent=None)
    changed = [
        replace(plain, name=f"{recipe.name}_{name}_{value:g}", equation=recipe.equation | {name: float(value)})
        for name, chosen in values.items()
        for value in chosen
    ]
    return [ensure_dataset(variant, root) for variant in changed]
