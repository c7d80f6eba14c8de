"""Exact solutions on periodic boxes, `[channel, *space]`: reference values, and initial data with a known fate.

Each is a function `(grid, time, *, ...)` of the grid's points, in the grid's type.
"""

from .exact_flows import (
    cole_hopf_plane,
    cole_hopf_sine,
    cole_hopf_wave,
    kolmogorov_laminar,
    shear_flow,
    shell_flow,
    taylor_green,
)
from .exact_kinks import breather, kink_antikink, sine_gordon_kink_antikink, sine_gordon_kinks
from .exact_korteweg_de_vries import korteweg_de_vries_soliton, korteweg_de_vries_two_solitons
from .exact_schrodinger import (
    akhmediev_breather,
    bright_soliton,
    dark_soliton_pair,
    peregrine_breather,
    plane_wave,
    two_solitons,
)

__all__ = [
    "akhmediev_breather",
    "breather",
    "bright_soliton",
    "cole_hopf_plane",
    "cole_hopf_sine",
    "cole_hopf_wave",
    "dark_soliton_pair",
    "kink_antikink",
    "kolmogorov_laminar",
    "korteweg_de_vries_soliton",
    "korteweg_de_vries_two_solitons",
    "peregrine_breather",
    "plane_wave",
    "shear_flow",
    "shell_flow",
    "sine_gordon_kink_antikink",
    "sine_gordon_kinks",
    "taylor_green",
    "two_solitons",
]
