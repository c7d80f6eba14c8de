"""Partial differential equations and how to integrate them: torch only."""
