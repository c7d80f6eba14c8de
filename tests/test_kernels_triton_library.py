"""The operations on Triton kernels obey the rules of PyTorch's library: traced, compiled, differentiated twice."""

from typing import Any

import pytest
import torch
from torch import Tensor
from triton_helpers import assert_same, gradients, in_interpreter, operands, random, runnable

from rollwave.kernels.triton_block import matrices, spectral_block, spectral_block_backward, triton_block

pytestmark = runnable
NONE, ALL = (False, False, False), (True, True, True)


@pytest.mark.parametrize(("skip", "bias", "gelu"), [ALL, NONE])
def test_the_operations_obey_the_rules_of_the_library(skip: bool, bias: bool, gelu: bool) -> None:
    x, weight, b, s = operands((4, 6), (1, 2), 2, 3, 2, skip, bias)
    there, back = (matrices(x, (4, 6), (1, 2), way) for way in (False, True))
    torch.library.opcheck(spectral_block, (x, weight, b, s, there, back, gelu, True, "tf32x3"))
    given = [None if t is None else t.detach() for t in (x, weight, s)]
    y, pre, x_hat = (t.detach() for t in spectral_block(x, weight, b, s, there, back, gelu, True, "tf32x3"))
    arguments = (torch.randn_like(y), *given, pre, x_hat, there, back, gelu, True, "tf32x3")
    torch.library.opcheck(spectral_block_backward, arguments)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_function_that_calls_it_compiles_in_one_graph(backend: str) -> None:
    tensors = operands((6, 8), (2, 3), 2, 3, 3, True, True)
    x, weight, b, s = tensors

    def function(x: Tensor) -> Tensor:
        y = triton_block(x, weight, (2, 3), b, s, True, (6, 8))
        return x + 2 * triton_block(y, weight, (2, 3), None, s, False, (6, 8))

    torch.compiler.reset()
    ours, exact = torch.compile(function, fullgraph=True, backend=backend)(x), function(x)
    direction = torch.randn_like(exact)
    assert_same([ours, *gradients(ours, tensors, direction)], [exact, *gradients(exact, tensors, direction)])
    with torch.no_grad():
        assert_same([torch.compile(function, fullgraph=True, backend=backend)(x)], [exact])


def test_a_compiled_graph_holds_its_matrices_and_follows_batch_and_grid() -> None:
    _, weight, b, s = operands((9,), (3,), 1, 3, 3, True, True)
    codes: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        codes.append(graph.code)
        return graph.forward

    def function(x: Tensor) -> Tensor:
        return triton_block(x, weight, (3,), b, s, True, x.shape[2:])

    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend=backend)
    for batch, points in ((2, 9), (3, 9), (4, 9), (4, 12), (5, 7)):
        x = random(batch, 3, points)
        assert_same([compiled(x)], [function(x)])
    # One for the first batch, one for every batch, one for each further grid; all just call the operation.
    assert len(codes) == 4
    assert all("spectral_block" in code and "cos" not in code for code in codes)


@pytest.mark.slow
@in_interpreter
@pytest.mark.parametrize(("points", "modes"), [((7,), (3,)), ((6,), (3,)), ((4, 5), (2, 1)), ((3, 4, 2), (1, 2, 1))])
def test_first_and_second_derivatives_pass_gradcheck(points: tuple[int, ...], modes: tuple[int, ...]) -> None:
    tensors = operands(points, modes, 1, 2, 2, True, True)

    def function(x: Tensor, weight: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
        return triton_block(x, weight, modes, bias, skip, True, points)

    assert torch.autograd.gradcheck(function, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True)
