"""Rollouts, metrics, spectra, figures and the report."""
