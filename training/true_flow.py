"""The flow of the data, `Phi`, for what trains on more of it than the stored frames."""

from jaxtyping import Float
from torch import Tensor

from rollwave.operators import Emulator

from .jacobian import Map


def check_flow(what: str, flow: object) -> None:
    """Refuse what is no map; its owner takes it as an `InitVar`, so that its fields are plain data for checkpoints."""
    if not callable(flow):
        raise ValueError(
            f"{what} needs the flow of its data, got {flow!r}; leave flow: null to train.py, or give "
            "rollwave.datasets.flow(folder)"
        )


def normalised(flow: Map, emulator: Emulator, z: Float[Tensor, "b c *space"]) -> Float[Tensor, "b c *space"]:
    """`Phi` of normalised states, computed and given in float64."""
    return emulator.encode(flow(emulator.decode(z.double())))
