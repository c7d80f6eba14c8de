"""Rollouts and what is measured on them: metrics, spectra, invariants, baselines, figures, report."""

from .metrics import ValidPredictionTime as ValidPredictionTime
