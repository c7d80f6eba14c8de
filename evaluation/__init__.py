"""Rollouts and what is measured on them: metrics, spectra, invariants, baselines, figures, report."""

from typing import TYPE_CHECKING, Any

from .metrics import ValidPredictionTime

if TYPE_CHECKING:
    from .checkpoint import load_emulator
    from .evaluation import evaluate
    from .settings import Settings

__all__ = ["Settings", "ValidPredictionTime", "evaluate", "load_emulator"]


def __getattr__(name: str) -> Any:
    """The rest on first use: training asks for a metric alone, and needs no solver and no HDF5 for it."""
    if name == "load_emulator":
        from .checkpoint import load_emulator

        return load_emulator
    if name == "Settings":
        from .settings import Settings

        return Settings
    if name == "evaluate":
        from .evaluation import evaluate

        return evaluate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
