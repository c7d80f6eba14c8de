"""The emulator: its one formula, free runs that say what happens to them, files that survive, load and refuse."""

import copy
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rollwave.operators import FNO, Emulator, EmulatorMetadata, NeuralOperatorModel, Normalizer, UNet

METADATA = EmulatorMetadata(
    equation="klein_gordon", channels=("phi", "phi_t"), points=(16,), lengths=(22.0,), interval=0.5, data_hash="abc"
)
STATISTICS: dict[str, list[float]] = {
    "mean": [0.5, -1.0], "std": [2.0, 3.0], "delta_std": [0.2, 0.6], "low": [-5.0, -9.0], "high": [5.0, 9.0]
}  # fmt: skip


def emulator(
    history: int = 1, residual: bool = True, network: nn.Module | None = None, **statistics: list[float]
) -> Emulator:
    network = network or FNO(2 * history, 2, width=8, modes=(4,), depth=2)
    normalizer = Normalizer(**STATISTICS | statistics)
    return Emulator(network, normalizer=normalizer, metadata=METADATA, history=history, residual=residual)


class Scale(nn.Module):
    """`y = factor z`, so that a rollout can be computed by hand."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.factor * z


def scaling(factor: float, **arguments: Any) -> Emulator:
    """`u -> factor u` for data of mean zero."""
    return emulator(network=Scale(factor), residual=False, mean=[0.0, 0.0], **arguments)


@pytest.mark.parametrize("history", [1, 3])
@pytest.mark.parametrize("residual", [True, False])
def test_a_step_is_the_documented_formula(history: int, residual: bool) -> None:
    model = emulator(history, residual)
    u = torch.randn(4, history, 2, 16)
    mean, std, delta = (torch.tensor(STATISTICS[name])[:, None] for name in ("mean", "std", "delta_std"))
    z = (u - mean) / std
    # Frames are channels of the network, the oldest first, and the fields of a frame stay together.
    y = model.network(torch.cat([z[:, frame] for frame in range(history)], dim=1))
    expected = u[:, -1] + delta * y if residual else mean + std * y
    torch.testing.assert_close(model(u), expected)
    torch.testing.assert_close(model.decode(model.encode(u)), u)


def test_a_rollout_is_repeated_steps_in_physical_units() -> None:
    model = emulator(history=2)
    u = torch.randn(3, 2, 2, 16)
    frames = list(u.unbind(1))
    for _ in range(5):
        frames.append(model(torch.stack(frames[-2:], dim=1)))
    torch.testing.assert_close(model.rollout(u, 5), torch.stack(frames[2:], dim=1))
    torch.testing.assert_close(model.decode(model.unroll(model.encode(u), 5)), model.rollout(u, 5))


def test_an_unroll_is_differentiable_and_a_rollout_is_not() -> None:
    model = emulator()
    z = torch.randn(2, 1, 2, 16, requires_grad=True)
    model.unroll(z, 3)[:, -1].square().sum().backward()
    assert z.grad is not None
    assert z.grad.abs().min() > 0
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not model.rollout(z, 3).requires_grad


def test_a_rollout_runs_in_evaluation_mode_and_leaves_every_mode_as_it_was() -> None:
    network = nn.Sequential(FNO(2, 2, width=8, modes=(4,)), nn.Dropout(0.5))
    model = emulator(network=network)
    network[0].eval()
    u = torch.randn(2, 2, 16)
    assert torch.equal(model.rollout(u, 3), model.rollout(u, 3))
    assert model.training
    assert network[1].training
    assert not network[0].training


def test_a_rollout_takes_other_resolutions_and_precisions() -> None:
    model = emulator()
    u = torch.randn(2, 1, 2, 48, dtype=torch.float64)
    assert model.rollout(u, 2).shape == (2, 2, 2, 48)
    assert model.rollout(u, 2).dtype == torch.float32
    assert model.double().rollout(u, 2).dtype == torch.float64


def test_a_quiet_rollout_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaling(1.0).rollout(torch.full((2, 2, 16), 5.9), 3)


def test_leaving_the_training_range_warns_once_and_names_the_place() -> None:
    u = torch.full((3, 2, 16), 0.1)
    # Sample 1, channel phi: 1.2, 2.4, 4.8, 9.6; the range [-5, 5] ends, with its margin of 2, at 7.
    u[1, 0, 3] = 0.6
    with pytest.warns(UserWarning, match="leaves the training range") as caught:
        scaling(2.0).rollout(u, 6)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert "step 4 (time 2): sample 1, channel 'phi' spans [1.6, 9.6], the training data [-5, 5]" in text
    two = scaling(2.0, history=2)
    two.network.register_forward_pre_hook(lambda _, inputs: inputs[0][:, 2:])
    with pytest.warns(UserWarning, match=r"at step 4 \(time 2\): sample 1, channel 'phi'"):
        two.rollout(torch.stack([torch.zeros_like(u), u], dim=1), 6)
    with pytest.warns(UserWarning, match=r"at the given history: sample 2, channel 'phi_t' spans \[-20, "):
        scaling(1.0).rollout(
            torch.where(torch.arange(3)[:, None, None] == 2, -20.0, u) * torch.tensor([[0.1], [1.0]]), 1
        )


class Fragile(Scale):
    """Sample-wise: doubles, and gives a value that is not finite to a sample that has exceeded ten."""

    def __init__(self, lost: float) -> None:
        super().__init__(2.0)
        self.lost = lost

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        broken = (z.abs() > 10).flatten(1).any(1)
        spot = torch.zeros_like(z, dtype=torch.bool)
        spot[:, 1, 0] = broken
        return torch.where(spot, self.lost, self.factor * z)


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_a_sample_that_is_lost_is_nan_from_then_on_and_alone(lost: float) -> None:
    model = emulator(network=Fragile(lost), residual=False, mean=[0.0, 0.0], low=[-1e6] * 2, high=[1e6] * 2)
    u = torch.full((3, 2, 16), 1e-4)
    u[1] = 6.0
    with pytest.warns(UserWarning, match=r"stops being finite at step 3 in sample 1; 1 of 3 samples are NaN") as caught:
        out = model.rollout(u, 9)
    assert len(caught) == 1
    assert torch.isfinite(out[1, :2]).all()
    assert torch.isnan(out[1, 2:]).all()
    assert torch.isfinite(out[[0, 2]]).all()
    # Nothing of the lost sample reaches the others.
    assert torch.equal(out[[0, 2]], model.rollout(u[[0, 2]], 9))


def test_a_run_of_which_nothing_is_left_ends_early() -> None:
    network = Fragile(float("nan"))
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    model = emulator(network=network, residual=False, low=[-1e9] * 2, high=[1e9] * 2)
    with pytest.warns(UserWarning, match="2 of 2 samples are NaN"):
        out = model.rollout(torch.full((2, 2, 16), 100.0), 500)
    assert out.shape == (2, 500, 2, 16)
    assert torch.isnan(out).all()
    assert len(calls) <= 64


def test_wrong_input_is_explained() -> None:
    model = emulator(history=2)
    for shape in ((3, 2, 16), (3, 1, 2, 16), (3, 2, 1, 16), (3, 2, 2, 4, 4)):
        with pytest.raises(ValueError, match=r"history = 2, channel = 2, 1 space axes.*'phi', 'phi_t'.*got \(3, "):
            model.rollout(torch.zeros(shape), 1)
    with pytest.raises(ValueError, match="history of sample 1 is not finite"):
        model.rollout(torch.stack([torch.zeros(2, 2, 16), torch.full((2, 2, 16), torch.nan)]), 1)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        model.rollout(torch.zeros(1, 2, 2, 16), 0)
    with pytest.raises(ValueError, match="2 frames of 2 channels need in_channels = 4, got a network of 2"):
        emulator(history=2, network=FNO(2, 2, width=4, modes=(4,)))
    with pytest.raises(ValueError, match="std must be positive"):
        Normalizer(**STATISTICS | {"std": [1.0, 0.0]})
    with pytest.raises(ValueError, match="high must hold one number for each of the 2 channels"):
        Normalizer(**STATISTICS | {"high": [1.0]})
    with pytest.raises(ValueError, match="the normalizer has 1 channels, the metadata 2"):
        emulator(**{name: values[:1] for name, values in STATISTICS.items()})
    with pytest.raises(ValueError, match=r"one length for each space axis.*points \(16, 16\)"):
        EmulatorMetadata("kdv", ("u",), (16, 16), (1.0,), 0.5)


def test_other_data_is_refused_or_named() -> None:
    model = emulator()
    same: dict[str, Any] = {
        "equation": "klein_gordon",
        "channels": ["phi", "phi_t"],
        "interval": 0.5,
        "lengths": [22.0],
        "data_hash": "abc",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.check_compatible(**same)
    with pytest.raises(ValueError, match="trained on equation 'klein_gordon', the data has 'burgers'"):
        model.check_compatible(**same | {"equation": "burgers"})
    with pytest.raises(ValueError, match=r"trained on channels \('phi', 'phi_t'\), the data has \('phi_t', 'phi'\)"):
        model.check_compatible(**same | {"channels": ("phi_t", "phi")})
    with pytest.raises(ValueError, match=r"interval of 0\.5, the data by 0\.25"):
        model.check_compatible(**same | {"interval": 0.25})
    with pytest.raises(ValueError, match=r"on a box of lengths \(22\.0,\), the data has \(44\.0,\)"):
        model.check_compatible(**same | {"lengths": (44.0,)})
    with pytest.raises(ValueError, match=r"lengths \(22\.0,\), the data has \(22\.0, 22\.0\)"):
        model.check_compatible(**same | {"lengths": (22.0, 22.0)})
    model.check_compatible(**same | {"lengths": None})
    model.check_compatible(**same | {"lengths": (22.0 * (1 + 5e-7),)})
    with pytest.warns(UserWarning, match="data_hash: the emulator was trained on abc, this data set is xyz"):
        model.check_compatible(**same | {"data_hash": "xyz"})


def networks() -> list[nn.Module]:
    return [FNO(4, 2, width=8, modes=(4,)), UNet(4, 2, width=8, levels=2)]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saved_emulator_comes_back_bit_for_bit(index: int, dtype: torch.dtype, tmp_path: Path) -> None:
    model = emulator(history=2, network=networks()[index]).to(dtype)
    model.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = Emulator.from_pretrained(tmp_path / "saved")
    assert loaded.config == model.config
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    u = torch.randn(2, 2, 2, 16)
    assert torch.equal(loaded.rollout(u, 4), model.rollout(u, 4))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_a_model_of_the_package_can_be_kept_too(tmp_path: Path) -> None:
    pytest.importorskip("neuralop")
    arguments = {"n_modes": [8], "hidden_channels": 6, "n_layers": 2, "rank": 0.5}
    model = emulator(network=NeuralOperatorModel(2, 2, name="TFNO", arguments=arguments))
    model.save_pretrained(tmp_path)
    u = torch.randn(2, 2, 16)
    for twin in (Emulator.from_pretrained(tmp_path), copy.deepcopy(model)):
        assert torch.equal(twin.rollout(u, 3), model.rollout(u, 3))


def test_parameters_that_modules_share_are_still_shared_after_loading(tmp_path: Path) -> None:
    pytest.importorskip("neuralop")
    pytest.importorskip("torch_harmonics")
    arguments = {
        "n_modes": [8], "hidden_channels": 8, "default_in_shape": [16], "n_layers": 2,
        "diff_layers": True, "disco_layers": False, "positional_embedding": None,
    }  # fmt: skip
    model = emulator(network=NeuralOperatorModel(2, 2, name="LocalNO", arguments=arguments)).double()
    names = [name for name, _ in model.named_parameters()]
    assert len(names) < len(list(model.named_parameters(remove_duplicate=False)))
    model.save_pretrained(tmp_path)
    loaded = Emulator.from_pretrained(tmp_path)
    assert [name for name, _ in loaded.named_parameters()] == names
    u = torch.randn(1, 2, 16, dtype=torch.float64)
    assert torch.equal(loaded.rollout(u, 2), model.rollout(u, 2))


def test_the_card_says_what_the_emulator_is(tmp_path: Path) -> None:
    emulator().save_pretrained(tmp_path / "kg_fno")
    text = (tmp_path / "kg_fno" / "README.md").read_text()
    parameters = sum(p.numel() for p in emulator().parameters())
    for words in (
        "klein_gordon",
        "| interval | 0.5 |",
        "16 points, lengths 22",
        f"| parameters | {parameters:,} |",
        "`abc`",
        "FNO(",
    ):
        assert words in text
    code = text.split("```python\n")[1].split("```")[0].replace('"kg_fno"', f'"{tmp_path}/kg_fno"')
    names: dict[str, Any] = {"u_history": torch.randn(2, 1, 2, 16)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, names)
    assert names["u"].shape == (2, 500, 2, 16)


@pytest.mark.parametrize("when", range(7))
def test_a_save_that_dies_leaves_the_old_emulator(when: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dies before the `when`-th change on disk: three files are written, then renamed, the weights first."""
    folder, count = tmp_path / "saved", 0
    old = emulator()
    old.save_pretrained(folder)
    new = emulator(history=2)

    def dying(call: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count > when:
                raise KeyboardInterrupt
            return call(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dying(os.fsync))
        patch.setattr(os, "replace", dying(os.replace))
        if when < 6:
            with pytest.raises(KeyboardInterrupt):
                new.save_pretrained(folder)
        else:
            new.save_pretrained(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = Emulator.from_pretrained(folder)
    survivor = old if when <= 3 else new
    assert loaded.config == survivor.config
    assert all(torch.equal(value, survivor.state_dict()[name]) for name, value in loaded.state_dict().items())
    # Between the renames the readable copy of the config is the old one, and the user is told so.
    assert [("not the config" in str(warning.message)) for warning in caught] == ([True] if when == 4 else [])
    assert not list(folder.glob(".saving-*"))


def test_broken_files_are_explained(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors; expected a folder written by"):
        Emulator.from_pretrained(folder)
    emulator().save_pretrained(folder)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a readable safetensors file, perhaps cut short"):
        Emulator.from_pretrained(folder)


def write_plain(folder: Path, config: dict[str, Any], state: dict[str, torch.Tensor]) -> None:
    """Weights without a config inside, as another tool might write them."""
    import safetensors.torch

    folder.mkdir(exist_ok=True)
    safetensors.torch.save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


def test_a_config_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = emulator()
    config, state = model.config, model.state_dict()
    write_plain(tmp_path, config, state)
    assert Emulator.from_pretrained(tmp_path).config == config
    write_plain(tmp_path, config | {"network": config["network"] | {"_target_": "os.system"}}, state)
    with pytest.raises(ValueError, match=r"_target_ must be one of .* got 'os\.system'"):
        Emulator.from_pretrained(tmp_path)
    write_plain(tmp_path, config | {"network": config["network"] | {"width": 6}}, state)
    with pytest.raises(
        ValueError, match=r"the weights in .* do not fit its config \(\d+ more\): size mismatch for network"
    ):
        Emulator.from_pretrained(tmp_path)
    write_plain(tmp_path, {key: value for key, value in config.items() if key != "metadata"}, state)
    with pytest.raises(ValueError, match=r"an emulator's config holds .*'metadata'.* got"):
        Emulator.from_pretrained(tmp_path)
    write_plain(tmp_path, config | {"metadata": config["metadata"] | {"color": "red"}}, state)
    with pytest.raises(ValueError, match=r"unknown metadata \['color'\]; legal fields are .*'equation'"):
        Emulator.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        Emulator.from_pretrained(tmp_path)


def test_another_version_is_named(tmp_path: Path) -> None:
    versions = {"rollwave": "0.0.1", "torch": torch.__version__, "neuraloperator": "0.1", "python": "2.7"}
    old = EmulatorMetadata(**METADATA.to_dict() | {"versions": versions})
    Emulator(FNO(2, 2, width=4, modes=(4,)), normalizer=Normalizer(**STATISTICS), metadata=old).save_pretrained(
        tmp_path
    )
    with pytest.warns(UserWarning, match=r"was made with rollwave 0\.0\.1, running \d[^;]*$") as caught:
        Emulator.from_pretrained(tmp_path)
    assert len(caught) == 1


def test_a_name_that_is_no_folder_is_looked_up_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    model = emulator()
    model.save_pretrained(tmp_path)
    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: asked.append(name) or str(tmp_path))
    assert Emulator.from_pretrained("someone/kg_fno").config == model.config
    assert asked == ["someone/kg_fno"]

    def fail(name: str, **_: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(FileNotFoundError, match=r"no/where is neither a folder nor a hub repository.*no network"):
        Emulator.from_pretrained("no/where")


def checkpoint(model: Emulator, **more: Any) -> dict[str, Any]:
    state = {f"emulator.{name}": value for name, value in model.state_dict().items()}
    return {
        "state_dict": {**state, "loss.weight": torch.ones(1)},
        "hyper_parameters": {"emulator": model.config},
        **more,
    }


def test_a_checkpoint_gives_its_emulator_and_prefers_averaged_weights(tmp_path: Path) -> None:
    model, averaged = emulator(), emulator()
    u = torch.randn(2, 2, 16)
    torch.save(checkpoint(model), tmp_path / "last.ckpt")
    assert torch.equal(Emulator.from_checkpoint(tmp_path / "last.ckpt").rollout(u, 3), model.rollout(u, 3))
    torch.save(checkpoint(model, ema_state_dict=checkpoint(averaged)["state_dict"]), tmp_path / "last.ckpt")
    assert torch.equal(Emulator.from_checkpoint(tmp_path / "last.ckpt").rollout(u, 3), averaged.rollout(u, 3))
    compiled = {
        key.replace("network.", "network._orig_mod."): value for key, value in checkpoint(model)["state_dict"].items()
    }
    torch.save(checkpoint(model) | {"state_dict": compiled}, tmp_path / "last.ckpt")
    assert torch.equal(Emulator.from_checkpoint(tmp_path / "last.ckpt").rollout(u, 3), model.rollout(u, 3))


class Harmful:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("harmed",))


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(checkpoint(emulator(), callbacks=Harmful()), "bad.ckpt", pickle_module=pickle)
    with pytest.raises(ValueError, match="no checkpoint of tensors and plain data"):
        Emulator.from_checkpoint("bad.ckpt")
    assert not (tmp_path / "harmed").exists()
    torch.save({"state_dict": {}, "hyper_parameters": {"lr": 1e-3}}, "other.ckpt")
    with pytest.raises(ValueError, match=r"holds no emulator: its hyper_parameters are \['lr'\]"):
        Emulator.from_checkpoint("other.ckpt")


def test_a_network_without_a_recipe_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(
        TypeError, match=r"only operators of rollwave\.operators record how to rebuild them, got Identity"
    ):
        emulator(network=nn.Identity()).save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_normaliser_tells_space_from_time() -> None:
    normalizer = Normalizer(**STATISTICS)
    u = torch.randn(5, 4, 2, 6, 6)
    z = normalizer.encode(u, 2)
    torch.testing.assert_close(z[:, :, 1], (u[:, :, 1] + 1.0) / 3.0)
    torch.testing.assert_close(normalizer.decode(z, 2), u)


def test_loading_a_module_of_operators_needs_no_hub() -> None:
    heavy = "'huggingface_hub', 'neuralop', 'lightning', 'hydra', 'triton'"
    code = f"import sys, rollwave.operators; print([m for m in ({heavy}) if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("content", [b"", b"a text", b'{"network": 1}', None])
def test_a_file_that_is_no_checkpoint_is_explained(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "broken.ckpt"
    torch.save(checkpoint(emulator()), path)
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(ValueError, match=r"broken\.ckpt is no checkpoint .* expected a \.ckpt file of train\.py"):
        Emulator.from_checkpoint(path)
