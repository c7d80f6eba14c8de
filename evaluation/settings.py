"""What a user may choose about an evaluation."""

from dataclasses import dataclass

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Settings:
    """How an emulator is evaluated.

    Attributes:
        split: the split that is rolled out, all of it.
        steps: length of a rollout; None for as many as the trajectories allow.
        window_stride: stored frames from the start of one rollout to that of the next in the same trajectory; None for
            rollouts that share no frame.
        batch_size: rollouts computed together.
        device: `"cpu"`, `"cuda"`, ..., or `"auto"` for a GPU if there is one.
        perturbation: relative size of the perturbation of the solver; 0 leaves the solver out.
        extend: further steps of the model beyond the truth, of which only the survival is reported.
        animation: `"gif"`, `"mp4"` or None.
    """

    split: str = "test"
    steps: int | None = None
    window_stride: int | None = None
    batch_size: int = 16
    device: str = "auto"
    perturbation: float = 1e-6
    extend: int = 0
    animation: str | None = None

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        if self.animation not in (None, "gif", "mp4"):
            raise ValueError(f"animation must be gif, mp4 or false, got {self.animation!r}")
        for name, least in (("steps", 1), ("window_stride", 1), ("batch_size", 1), ("extend", 0), ("perturbation", 0)):
            value = getattr(self, name)
            kinds = (int, float) if name == "perturbation" else (int,)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not value >= least):
                kind = "number" if name == "perturbation" else "whole number"
                raise ValueError(f"{name} must be a {kind} of at least {least}, got {value!r}")
