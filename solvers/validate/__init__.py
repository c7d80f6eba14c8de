"""Validation of the solvers against exact solutions and properties: `python -m rollwave.solvers.validate`."""

from . import (
    burgers,
    klein_gordon,
    korteweg_de_vries,
    kuramoto_sivashinsky,
    navier_stokes,
    nonlinear_schrodinger,
    schemes,
    vector_burgers,
)
from .case import Case, Result, name_of

# Cases of every equation: quick ones, and those that take minutes.
CASES: dict[str, tuple[list[Case], list[Case]]] = {
    module.__name__.rpartition(".")[2]: (module.QUICK, module.FULL)
    for module in (
        burgers,
        kuramoto_sivashinsky,
        navier_stokes,
        nonlinear_schrodinger,
        korteweg_de_vries,
        klein_gordon,
        vector_burgers,
        schemes,
    )
}

__all__ = ["CASES", "Case", "Result", "name_of"]
