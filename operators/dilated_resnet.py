from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from .configurable import configurable
from .layers import check_space, periodic_convolution


@configurable
class DilatedResNet(nn.Module):
    """Periodic residual network of dilated convolutions in one to three dimensions,

        u -> Q B_depth .. B_1 P u,      B v = v + s(C_7 s(C_6 .. s(C_1 v))),

    with convolutions `P`, `Q` and `C_j`, the latter with filters stretched by `dilations[j]` points, and `s` the ReLU.
    One block sees far without leaving the grid, and nothing is coarsened, so the map commutes with every shift.

    The filters belong to the grid, not to the function: another resolution is another map.

    Args:
        in_channels: channels of the input field.
        out_channels: channels of the output field.
        dimensions: number of space axes.
        width: channels of the hidden fields.
        depth: number of blocks.
        dilations: stretch of the filters inside a block, in points.
        kernel: size of the filters, odd.

    Reference:
        Stachenfeld et al. (2021), arXiv:2112.15275, Dil-ResNet.
    """

    config: dict[str, Any]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dimensions: int = 1,
        width: int = 48,
        depth: int = 4,
        dilations: Sequence[int] = (1, 2, 4, 8, 4, 2, 1),
        kernel: int = 3,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.reach = max(dilations) * (kernel // 2)
        self.lift = periodic_convolution(dimensions, in_channels, width, kernel=kernel)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            block: list[nn.Module] = []
            for dilation in dilations:
                block += [periodic_convolution(dimensions, width, width, kernel=kernel, dilation=dilation), nn.ReLU()]
            self.blocks.append(nn.Sequential(*block))
        self.project = periodic_convolution(dimensions, width, out_channels, kernel=kernel)

    def forward(self, u: Float[Tensor, "b i *space"]) -> Float[Tensor, "b o *space"]:
        # Periodic padding cannot wrap around the box more than once.
        check_space(u, self.dimensions, least=self.reach)
        v = self.lift(u)
        for block in self.blocks:
            v = v + block(v)
        out: Tensor = self.project(v)
        return out
