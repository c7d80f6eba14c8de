"""Certificates of datasets: what misses a recipe's limits is not written, what is written carries what was measured."""

import json
from pathlib import Path

import h5py
import pytest
from test_datasets import tiny

from rollwave.datasets import Certificate, CertificateError, certify_recipe, ensure_dataset, load_recipe


def test_truth_that_misses_its_tolerance_is_not_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = {"samples": 2, "horizon": 2.0, "tolerance": 1e-7}
    with pytest.raises(CertificateError, match=r"(?s)misses the limits.* > 1e-07.*dataset.dt.*dataset.points"):
        ensure_dataset(tiny(certificate=wanted), tmp_path, workers=1)
    assert list(tmp_path.iterdir()) == []
    ensure_dataset(tiny(certificate=wanted | {"tolerance": None}, points=[16]), tmp_path, workers=1)
    assert "raise dataset.points" in caplog.text


def test_the_certificate_falls_with_the_step_and_the_grid() -> None:
    wanted = {"samples": 2, "horizon": 2.0}
    coarse = certify_recipe(tiny(certificate=wanted))
    fine = certify_recipe(tiny(certificate=wanted, dt=0.05))
    dense = certify_recipe(tiny(certificate=wanted, points=[64]))
    assert coarse is not None
    assert fine is not None
    assert dense is not None
    # ETDRK4 shows order three to four at these steps.
    assert 6 < coarse.step_error / fine.step_error < 20
    assert dense.grid_error < 1e-3 * coarse.grid_error
    assert dense.spectral_tail < 1e-3 * coarse.spectral_tail
    assert coarse.invariant_drift["mass"] < 1e-12


def test_a_limit_for_budgets_or_for_the_tail_that_is_missed_writes_nothing(tmp_path: Path) -> None:
    wanted = {"samples": 1, "horizon": 2.0, "tolerance": 1.0}
    for limit, message in (
        ({"budget": 1e-12}, r"budget of energy is off by .* > 1e-12: lower dataset.dt"),
        ({"tail": 1e-12}, r"highest quarter of the modes holds .* > 1e-12 .*: raise dataset.points"),
    ):
        with pytest.raises(CertificateError, match=message):
            ensure_dataset(tiny(certificate=wanted | limit), tmp_path, workers=1)
        assert list(tmp_path.iterdir()) == []
    ensure_dataset(tiny(certificate=wanted | {"budget": None, "tail": None}), tmp_path, workers=1)


def test_manifest_and_files_carry_the_whole_certificate(tmp_path: Path) -> None:
    recipe = tiny(certificate={"samples": 1, "horizon": 2.0})
    folder = ensure_dataset(recipe, tmp_path, workers=1)
    found = certify_recipe(recipe)
    assert found is not None
    assert found.budget_error["energy"] > 0
    assert 0 < found.grid_error < 1e-2
    manifest = json.loads((folder / "manifest.json").read_text())
    with h5py.File(folder / "data/test/tiny_0000.hdf5") as file:
        stored = json.loads(file["provenance"].attrs["certificate"])
    assert Certificate.from_dict(manifest["certificate"]) == Certificate.from_dict(stored) == found


def test_a_dataset_of_an_older_version_is_the_one_that_its_recipe_asks_for(tmp_path: Path) -> None:
    recipe = tiny(certificate={"samples": 1, "horizon": 2.0})
    folder = ensure_dataset(recipe, tmp_path, workers=1)
    manifest = json.loads((folder / "manifest.json").read_text())
    for row, key in ((manifest["recipe"]["certificate"], "budget"), (manifest["recipe"]["certificate"], "tail")):
        del row[key]
    for key in ("budget_error", "predictable", "dt", "tolerance"):
        del manifest["certificate"][key]
    for key in ("source", "differences"):
        del manifest[key]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert ensure_dataset(recipe, tmp_path, workers=1) == folder
    assert load_recipe(folder) == recipe
    with pytest.raises(ValueError, match=r"certificate.tail: 0.01 there, 0.5 asked"):
        ensure_dataset(tiny(certificate={"samples": 1, "horizon": 2.0, "tail": 0.5}), tmp_path, workers=1)
