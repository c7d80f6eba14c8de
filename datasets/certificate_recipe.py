"""How strictly a recipe wants its truth to be checked."""

from dataclasses import dataclass

from rollwave.solvers.certificate import TOLERANCE
from rollwave.solvers.resolution import UNRESOLVED


@dataclass(frozen=True, kw_only=True)
class CertificateRecipe:
    """How the truth is checked, see `certificate.py`. Where a limit is missed nothing is written.

    Attributes:
        samples: trajectories; 0 for no certificate.
        horizon: time over which errors are measured, ten intervals where None; for a chaotic system a few Lyapunov
            times.
        tolerance: relative error of half the step and of twice the grid; None to warn, beyond 1e-3 and beyond the other
            limits.
        budget: relative gap in the budgets of energy, enstrophy and what is conserved; None for any.
        tail: share of the squared field in the highest quarter of the modes; None for any.
    """

    samples: int = 4
    horizon: float | None = None
    tolerance: float | None = None
    budget: float | None = TOLERANCE
    tail: float | None = UNRESOLVED

    def check(self, interval: float) -> None:
        """Refuse limits that are none, and a horizon that is no multiple of the interval."""
        for key in ("tolerance", "budget", "tail"):
            limit = getattr(self, key)
            if limit is not None and not limit > 0:
                raise ValueError(f"certificate.{key} must be positive or null, got {limit}")
        if self.samples < 0:
            raise ValueError(f"certificate.samples must not be negative, got {self.samples}")
        if not self.samples or self.horizon is None:
            return
        intervals = max(1, round(self.horizon / interval))
        if not abs(self.horizon - intervals * interval) <= 1e-9 * self.horizon:
            raise ValueError(
                f"certificate.horizon must be a multiple of interval = {interval}, got {self.horizon}; the nearest is "
                f"{intervals * interval:g}"
            )
