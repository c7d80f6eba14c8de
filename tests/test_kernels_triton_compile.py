"""Every launch of the Triton kernels compiles for a Hopper GPU, without one.

Run as a script this file calls the blocks on the CPU, compiles whatever they launch instead of launching it, and writes
what came of it. It is a process of its own because here the kernels are interpreted.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# What a program may use on an H100 or H200.
SHARED_MEMORY = 227 * 1024


def test_every_launch_compiles_for_hopper_on_its_tensor_cores(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="needs triton")
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command, out = [sys.executable, __file__, str(tmp_path / "out.json")], tmp_path / "out.json"
    subprocess.run(command, env={**environment, "TRITON_CACHE_DIR": str(tmp_path)}, check=True, capture_output=True)
    compiled = json.loads(out.read_text())
    assert {entry["kernel"] for entry in compiled} == {
        "_transform_kernel", "_mix_kernel", "_mix_adjoint_kernel", "_weight_gradient_kernel", "_synthesis_kernel",
        "_product_kernel", "_stage_kernel",
    }  # fmt: skip
    for entry in compiled:
        assert entry["shared"] <= SHARED_MEMORY, entry
        assert entry["tensor_cores"] == (entry["kernel"] != "_stage_kernel"), entry


def main(path: str) -> None:
    import torch
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    compiled: dict[str, dict[str, Any]] = {}

    def compile_launch(kernel: Any, values: dict[str, Any], warps: int, stages: int) -> None:
        signature, constants, hints = {}, {}, {}
        for position, (parameter, name) in enumerate(zip(kernel.params, kernel.arg_names, strict=True)):
            value, at = values[name], (position,)
            if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
                signature[name], constants[at] = "constexpr", value
            elif isinstance(value, torch.Tensor):
                signature[name] = {torch.float32: "*fp32", torch.float64: "*fp64"}[value.dtype]
                hints[at] = [["tt.divisibility", 16]]
            else:
                signature[name] = "i32" if value < 2**31 else "i64"
                hints.update({at: [["tt.divisibility", 16]]} if value % 16 == 0 else {})
        key = repr((kernel.__name__, signature, constants, hints, warps, stages))
        if key in compiled:
            return
        source = ASTSource(kernel, signature, constants, hints)
        options = {"num_warps": warps, "num_stages": stages}
        result = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        compiled[key] = {
            "kernel": kernel.__name__,
            "constants": {kernel.arg_names[at]: value for (at,), value in constants.items()},
            "shared": result.metadata.shared,
            "tensor_cores": "mma" in result.asm["ptx"],
        }

    def record(kernel: Any, grid: tuple[int, ...]) -> Any:
        def launch(*arguments: Any, num_warps: int, num_stages: int, **named: Any) -> None:
            assert grid[0] > 0
            compile_launch(kernel, dict(zip(kernel.arg_names, arguments, strict=False)) | named, num_warps, num_stages)

        return launch

    triton.runtime.jit.KernelInterface.__getitem__ = record
    from rollwave.kernels import weight_shape
    from rollwave.kernels.triton_block import triton_block
    from rollwave.kernels.triton_product_block import triton_product_block
    from rollwave.kernels.triton_stage import stage

    batch, width, points, modes = 4, 64, (33, 256), (12, 16)
    x, weight = (
        torch.zeros(batch, width, *points, requires_grad=True),
        torch.zeros(weight_shape(width, width, modes)),
    )
    weight.requires_grad_()
    bias, skip = torch.zeros(width, requires_grad=True), torch.zeros(width, width, requires_grad=True)
    triton_block(x, weight, modes, bias, skip, True, points).sum().backward()
    triton_block(x, weight, modes, None, None, False, points).sum().backward()
    triton_product_block(x, weight, modes, skip, bias, True, points).sum().backward()
    c, v = torch.zeros(513, dtype=torch.complex128), torch.zeros(4, 513, dtype=torch.complex128)
    for terms in (1, 4):
        stage(v, [c] * terms, [v] * terms)
        stage(None, [c.to(torch.complex64)] * terms, [v.to(torch.complex64)] * terms)
    Path(path).write_text(json.dumps(list(compiled.values())))


if __name__ == "__main__":
    main(sys.argv[1])
