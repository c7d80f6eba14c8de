"""Functions that configs call, by names in `${name:argument}`."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf


def stored_points(dataset: DictConfig | None) -> int:
    """Points along the first axis of a recipe's stored fields, which may be fewer than its solver's; 64 without one."""
    return 64 if dataset is None else int(dataset.points[0]) // int(dataset.space_stride)


def register_resolvers() -> None:
    """Make them known to OmegaConf; as often as one likes."""
    OmegaConf.register_new_resolver("stem", lambda path: Path(path or "none").stem, replace=True)
    OmegaConf.register_new_resolver("stored_points", stored_points, replace=True)
