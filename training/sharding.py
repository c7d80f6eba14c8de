from collections.abc import Mapping

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Split every parameter over the last axis of `mesh`, with replicas along the first.

    Parameters are gathered block by block: the members of each `ModuleList`, then the rest.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.ModuleList):
            for block in module:
                fully_shard(block, mesh=mesh, reshard_after_forward=True)
    # The root too: between steps every parameter must be its shard, where the weights are averaged and saved.
    fully_shard(network, mesh=mesh, reshard_after_forward=True)


def gathered(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of the tensors, whole where they are sharded; for that every process has to call it."""
    return {
        name: value.full_tensor().detach() if isinstance(value, DTensor) else value.detach().clone()
        for name, value in state.items()
    }
