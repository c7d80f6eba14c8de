from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import Optimizer


def made_optimizer(
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer], parameters: Iterable[nn.Parameter]
) -> Optimizer:
    """The optimiser of the parameters, or an error that says which of its settings it does not take."""
    try:
        return optimizer(parameters)
    except TypeError as error:
        given = getattr(optimizer, "keywords", {})
        raise ValueError(f"the optimizer does not take {given}: {error}; expected numbers") from error
