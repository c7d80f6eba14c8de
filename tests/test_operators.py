"""What every operator promises: its YAML builds it, nothing in it is idle, symmetries hold, its recipe rebuilds it."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from host_numbers import FromHost
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from rollwave.commands import register_resolvers
from rollwave.operators import FNO, DilatedResNet, NeuralOperatorModel, UNet
from rollwave.operators.configurable import build

register_resolvers()
CONFIGS = sorted((Path(__file__).resolve().parent.parent / "configs" / "operator").glob("*.yaml"))
# Shifts, in points, with which an operator's map commutes. The package's U-shaped model interpolates and claims none.
SHIFTS = {"fno": 1, "dymixop": 1, "dilated_resnet": 1, "unet": 8, "tfno": 1}
# Ours in every dimension, as recipes.
OURS: dict[str, dict[str, Any]] = {
    "fno-1d": {"_target_": "rollwave.operators.FNO", "width": 6, "modes": [3], "depth": 2},
    "fno-2d": {"_target_": "rollwave.operators.FNO", "width": 6, "modes": [3, 4], "depth": 2},
    "fno-3d": {"_target_": "rollwave.operators.FNO", "width": 4, "modes": [2, 3, 2], "depth": 2},
    "dymixop-1d": {"_target_": "rollwave.operators.DyMixOp", "width": 6, "modes": [3], "depth": 2},
    "dymixop-2d": {"_target_": "rollwave.operators.DyMixOp", "width": 6, "modes": [3, 4], "depth": 2},
    "dymixop-3d": {"_target_": "rollwave.operators.DyMixOp", "width": 4, "modes": [2, 3, 2], "depth": 1},
    # Without the coordinates of the published one.
    "dymixop_published-2d": {
        "_target_": "rollwave.operators.DyMixOp",
        "width": 6,
        "modes": [3, 4],
        "depth": 2,
        "interaction": {
            "_target_": "rollwave.operators.Interaction",
            "stencils": [True, False],
            "points": None,
            "gelu": False,
        },
        "connection": {
            "_target_": "rollwave.operators.Connection",
            "gate": 6.0,
            "shared": True,
            "change": 0.02,
            "offset": True,
        },
        "symmetric": False,
        "gelu": False,
    },
}
for d in (1, 2, 3):
    OURS[f"unet-{d}d"] = {"_target_": "rollwave.operators.UNet", "dimensions": d, "width": 8, "levels": 2}
    residual = {"dimensions": d, "width": 8, "depth": 2, "dilations": [1, 2, 4, 2, 1]}
    OURS[f"dilated_resnet-{d}d"] = {"_target_": "rollwave.operators.DilatedResNet", **residual}


def from_yaml(path: Path, **channels: int) -> nn.Module:
    """The operator for data in one dimension, filled in as train.py does."""
    torch.manual_seed(0)
    config = OmegaConf.load(path)
    if "dimensions" in config and config.dimensions is None:
        config.dimensions = 1
    operator: nn.Module = instantiate(config, **channels)
    return operator


@pytest.fixture(params=list(OURS))
def operator(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return build({"in_channels": 2, "out_channels": 3, **OURS[request.param]})


def fields(operator: Any, batch: int = 2) -> torch.Tensor:
    dimensions = operator.config.get("dimensions") or len(operator.modes)
    return torch.randn(batch, operator.config["in_channels"], *(8, 12, 8)[:dimensions])


def assert_nothing_is_idle(operator: nn.Module, u: torch.Tensor) -> None:
    """Every parameter has a gradient, and every parameter moves the output."""
    y = operator(u)
    y.square().sum().backward()
    for name, parameter in operator.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.abs().max() > 0, f"{name} has a zero gradient"
        with torch.no_grad():
            kept = parameter.clone()
            parameter += 0.1 * torch.randn_like(parameter)
            assert not torch.equal(operator(u), y), f"{name} does not reach the output"
            parameter.copy_(kept)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_yaml_builds_an_operator_in_which_nothing_is_idle(path: Path) -> None:
    operator = from_yaml(path, in_channels=4, out_channels=2)
    u = torch.randn(2, 4, 64)
    assert operator(u).shape == (2, 2, 64)
    assert_nothing_is_idle(operator, u)
    assert not any(parameter.is_complex() for parameter in operator.parameters())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_recipe_rebuilds_the_operator(path: Path) -> None:
    operator = from_yaml(path, in_channels=1, out_channels=1)
    twin = build(operator.config)  # type: ignore[arg-type]
    twin.load_state_dict(operator.state_dict())
    u = torch.randn(2, 1, 64)
    assert torch.equal(operator(u), twin(u))
    assert all(isinstance(value, torch.Tensor) for value in operator.state_dict().values())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_argument_of_a_yaml_is_explained(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    bare = [
        line
        for before, line in itertools.pairwise(lines)
        if not line.startswith(("#", "_target_", "name:")) and not before.startswith("#")
    ]
    assert bare == []


@pytest.mark.parametrize("name", SHIFTS)
def test_the_map_commutes_with_the_claimed_shifts(name: str, root: Path) -> None:
    operator = from_yaml(root / "configs" / "operator" / f"{name}.yaml", in_channels=2, out_channels=1)
    u = torch.randn(2, 2, 64)
    shift = SHIFTS[name] * 3
    y = operator(u)
    difference = operator(u.roll(shift, dims=-1)) - y.roll(shift, dims=-1)
    assert difference.abs().max() < 2e-5 * y.abs().max()


def test_our_operators_work_in_every_dimension(operator: nn.Module) -> None:
    u = fields(operator)
    y = operator(u)
    assert y.shape == (2, 3, *u.shape[2:])
    assert_nothing_is_idle(operator, u)
    step = 4 if isinstance(operator, UNet) else 3
    axes = tuple(range(2, u.ndim))
    rolled = operator(u.roll([step] * len(axes), dims=axes))
    torch.testing.assert_close(rolled, y.roll([step] * len(axes), dims=axes), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operator", ["fno-1d", "fno-2d", "unet-1d", "unet-2d"], indirect=True)
def test_every_single_number_acts(operator: Any) -> None:
    """Not only every tensor; the dilated network is left out, since a ReLU may rightly be silent."""
    operator = operator.double()
    operator(fields(operator, 4).double()).square().sum().backward()
    for name, parameter in operator.named_parameters():
        # The imaginary part of the matrix at wavenumber zero has nothing to act on.
        idle = 6 * 6 if name.endswith("spectral.weight") else 0
        assert int((parameter.grad.abs() < 1e-14).sum()) == idle, name


def test_our_operators_compile_into_one_graph(operator: nn.Module) -> None:
    u = fields(operator)
    torch._dynamo.reset()
    # Tracing the backward pass too costs seconds; ours is the only one whose complex numbers could get in its way.
    backend = "aot_eager" if isinstance(operator, FNO) else "eager"
    compiled = torch.compile(operator, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(u), operator(u))
    compiled(u).square().sum().backward()


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["fno-2d", "unet-1d", "dilated_resnet-1d"], indirect=True)
def test_our_operators_compile_to_machine_code(operator: nn.Module) -> None:
    u = fields(operator)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(operator, fullgraph=True)(u), operator(u), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["dft", "fft"])
def test_a_step_takes_no_number_from_the_host(
    operator: nn.Module, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a CUDA graph holds it; what depends on the grid alone is made once."""
    monkeypatch.setenv("ROLLWAVE_BACKEND", backend)
    u = fields(operator)
    # As many points as twice the wavenumbers have a rule of their own.
    tight = u[..., : 2 * operator.modes[-1]] if isinstance(operator, FNO) else u
    for given in (u, tight):
        operator(given).sum().backward()
        with FromHost() as watched:
            operator(given).sum().backward()
        assert watched.count == 0


def test_our_operators_run_under_autocast(operator: nn.Module) -> None:
    u = fields(operator)
    with torch.autocast("cpu", torch.bfloat16):
        y = operator(u)
        y.float().square().sum().backward()
    exact = operator(u)
    assert (y.float() - exact).norm() < 0.03 * exact.norm()


def test_our_operators_have_forward_derivatives(operator: nn.Module) -> None:
    u = fields(operator, 1)
    direction, epsilon = torch.randn_like(u), 1e-6
    operator, u, direction = operator.double(), u.double(), direction.double()
    _, derivative = torch.func.jvp(operator, (u,), (direction,))
    difference = (operator(u + epsilon * direction) - operator(u - epsilon * direction)) / (2 * epsilon)
    assert (derivative - difference).norm() < 1e-5 * derivative.norm()


def test_wrong_grids_and_arguments_are_explained() -> None:
    with pytest.raises(ValueError, match=r"multiple of 8 points, 1 or more; got \(20,\)"):
        UNet(1, 1, levels=3)(torch.randn(1, 1, 20))
    with pytest.raises(ValueError, match=r"multiple of 1 points, 8 or more; got \(6,\)"):
        DilatedResNet(1, 1)(torch.randn(1, 1, 6))
    with pytest.raises(ValueError, match=r"2 space axes, got \(1, 1, 16\)"):
        UNet(1, 1, dimensions=2)(torch.randn(1, 1, 16))
    with pytest.raises(ValueError, match=r"1 space axes, got \(1, 1, 40, 40\)"):
        FNO(1, 1)(torch.randn(1, 1, 40, 40))
    with pytest.raises(ValueError, match="axis 0 has 20 points but 16 modes"):
        FNO(1, 1)(torch.randn(1, 1, 20))
    with pytest.raises(ValueError, match="dimensions must be 1, 2 or 3, got 4"):
        UNet(1, 1, dimensions=4)
    with pytest.raises(ValueError, match=r"kernel must be odd.* got 4"):
        DilatedResNet(1, 1, kernel=4)
    with pytest.raises(ValueError, match=r"non-negative number .* got \(4, -1\)"):
        FNO(1, 1, modes=(4, -1))
    with pytest.raises(ValueError, match=r"depth must be at least 1, got 0"):
        FNO(1, 1, depth=0)


def test_a_recipe_records_the_defaults_of_its_day() -> None:
    fields = {"in_channels": 1, "out_channels": 2, "width": 4, "modes": [3], "depth": 4, "expansion": 0.5, "ratio": 2}
    assert FNO(1, 2, width=4, modes=(3,)).config == {"_target_": "rollwave.operators.FNO", **fields}


def test_only_exported_operators_are_built() -> None:
    for target in ("os.system", "rollwave.operators.Emulator", "rollwave.operators.emulator.Emulator", "builtins.FNO"):
        with pytest.raises(ValueError, match=r"_target_ must be one of .*rollwave\.operators\.FNO.*got"):
            build({"_target_": target})


def test_arguments_that_are_not_plain_data_are_refused() -> None:
    with pytest.raises(TypeError, match="numbers, strings, lists, mappings or operators"):
        FNO(1, 1, width=4, modes=torch.tensor([3]))  # type: ignore[arg-type]
    # Numbers out of YAML, JSON or a command line all read back alike.
    assert FNO(1, 1, width=4, modes=OmegaConf.create([3])).config == FNO(1, 1, width=4, modes=(3,)).config


def test_a_model_of_the_package_is_that_model() -> None:
    models = pytest.importorskip("neuralop.models")
    arguments = {"n_modes": [8, 8], "hidden_channels": 6, "n_layers": 2, "rank": 0.3}
    torch.manual_seed(3)
    wrapped = NeuralOperatorModel(1, 2, name="TFNO", arguments=arguments)
    torch.manual_seed(3)
    original = models.TFNO(in_channels=1, out_channels=2, **arguments)
    u = torch.randn(2, 1, 16, 16)
    assert torch.equal(wrapped(u), original(u))
    theirs = sum(p.numel() * (1 + p.is_complex()) for p in original.parameters())
    assert sum(p.numel() for p in wrapped.parameters()) == theirs


def test_a_model_of_the_package_trains_with_fused_adamw_and_value_clipping() -> None:
    pytest.importorskip("neuralop")
    model = NeuralOperatorModel(1, 1, name="FNO", arguments={"n_modes": [8], "hidden_channels": 6, "n_layers": 2})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
    u = torch.randn(4, 1, 32)
    before = (model(u) - u).square().mean().item()
    for _ in range(10):
        optimizer.zero_grad()
        (model(u) - u).square().mean().backward()
        nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
    assert (model(u) - u).square().mean().item() < 0.9 * before


def test_arguments_of_the_package_are_checked_against_its_signature() -> None:
    pytest.importorskip("neuralop")
    with pytest.raises(ValueError, match=r"TFNO takes no \['width'\]; legal arguments are .*hidden_channels"):
        NeuralOperatorModel(1, 1, name="TFNO", arguments={"n_modes": [8], "width": 6})
    with pytest.raises(ValueError, match=r"FNO also needs \['hidden_channels'\]"):
        NeuralOperatorModel(1, 1, name="FNO", arguments={"n_modes": [8]})
    with pytest.raises(ValueError, match=r"name must be one of .*UNO.*got 'GINO'"):
        NeuralOperatorModel(1, 1, name="GINO", arguments={})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "neuralop.models", None)
    with pytest.raises(ImportError, match=r"pip install 'rollwave\[baselines\]'"):
        NeuralOperatorModel(1, 1, name="FNO", arguments={"n_modes": [8], "hidden_channels": 6})


def test_derivatives_are_of_order_one_on_the_points_that_a_dataset_stores() -> None:
    config = OmegaConf.create({"dataset": {"points": [512], "space_stride": 2}})
    config.operator = OmegaConf.load(next(path for path in CONFIGS if path.stem == "dymixop"))
    assert config.operator.interaction.points == 256
    assert OmegaConf.load(next(path for path in CONFIGS if path.stem == "dymixop")).interaction.points == 64
