"""The HDF5 layout, its writer, verifier and readers, and the Lightning data module."""

from typing import Any

from .blocks import GenerationError
from .certificate import Certificate, CertificateError, certify_recipe
from .certificate_recipe import CertificateRecipe
from .files import DatasetError
from .flow import flow
from .generation import ensure_dataset
from .metadata import DatasetMetadata, Statistics
from .mixture import Mixture, parameters_of
from .open_source import open_source
from .recipe import Recipe, load_recipe
from .statistics import compute_statistics
from .structure import conserved_channels, equation_of, is_symmetry
from .trajectory_dataset import TrajectoryDataset
from .variants import ensure_variants
from .verify import Check, verify_dataset

__all__ = [
    "Certificate",
    "CertificateError",
    "CertificateRecipe",
    "Check",
    "DatasetError",
    "DatasetMetadata",
    "GenerationError",
    "Mixture",
    "Recipe",
    "Statistics",
    "TrajectoryDataModule",
    "TrajectoryDataset",
    "certify_recipe",
    "compute_statistics",
    "conserved_channels",
    "ensure_dataset",
    "ensure_variants",
    "equation_of",
    "flow",
    "is_symmetry",
    "load_recipe",
    "open_source",
    "parameters_of",
    "verify_dataset",
]


def __getattr__(name: str) -> Any:
    """The data module, on first use: it brings Lightning, which generation and evaluation do not need."""
    if name == "TrajectoryDataModule":
        from .data_module import TrajectoryDataModule

        return TrajectoryDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
