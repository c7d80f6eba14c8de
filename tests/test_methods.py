"""Every way to train works on every equation: a step of each, and what comes out is finite."""

from pathlib import Path

import pytest
from test_configs import BRIEF, ROOT, Train, composed, train

from rollwave.operators import Emulator

__all__ = ["train"]
DATASETS = {"burgers": 1, "ks_l22_quick": 1, "navier_stokes": 2, "nonlinear_schrodinger": 1, "klein_gordon": 1}
# On as few points as the operators and the certificates' absence allow: what is tested is whether the parts fit.
SMALL = {1: ("operator.modes=[4]",), 2: ("operator.modes=[2,2]", "dataset.points=[32,32]")}
METHODS = [
    (group, path.stem)
    for group in ("objective", "regularizer")
    for path in sorted((ROOT / "configs" / group).glob("*.yaml"))
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all cases find the few trajectories of each equation."""
    return tmp_path_factory.mktemp("root")


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["fno", "dymixop"])
@pytest.mark.parametrize(("group", "method"), METHODS)
@pytest.mark.parametrize("dataset", list(DATASETS))
def test_every_method_trains_every_equation(
    dataset: str,
    group: str,
    method: str,
    operator: str,
    train: Train,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if method == "refinement" and operator != "fno":
        pytest.skip("a refiner holds an FNO")
    monkeypatch.setenv("ROLLWAVE_ROOT", str(root))
    small = SMALL[DATASETS[dataset]]
    if method == "refinement":
        small = tuple(key.replace("operator.", "operator.network.") for key in small)
    own = () if method == "refinement" else (f"operator={operator}",)
    config = composed("train", f"dataset={dataset}", f"{group}={method}", *own, *BRIEF, *small, f"folder={tmp_path}")
    train(config)
    emulator = Emulator.from_pretrained(tmp_path / "emulator")
    assert all(bool(value.isfinite().all()) for value in emulator.state_dict().values())
    assert not any("head" in name for name in emulator.state_dict())
