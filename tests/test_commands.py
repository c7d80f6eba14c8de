"""What a program says when something goes wrong: one screen, what to do, exit code 1."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollwave.commands import explain

PROGRAM = """
from pathlib import Path
from rollwave.commands import command, run_folder

def task(config):
    import hydra
    value = hydra.utils.instantiate(config.ratio)
    (run_folder() / "value.txt").write_text(str(value))

if __name__ == "__main__":
    command(task, __file__)
"""
CONFIG = """
defaults: [{ratio: half}, _self_]
steps: 3
hydra: {run: {dir: "${oc.env:ROLLWAVE_ROOT}/logs"}, output_subdir: null}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A small program with one config group, in a folder of its own."""
    (tmp_path / "configs" / "ratio").mkdir(parents=True)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "configs" / "program.yaml").write_text(CONFIG)
    (tmp_path / "configs" / "ratio" / "half.yaml").write_text(
        "_target_: fractions.Fraction\nnumerator: 1\ndenominator: 2\n"
    )
    return tmp_path / "program.py"


def run(program: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program run from the root of the file system, as a user in any folder would."""
    clean = {name: value for name, value in os.environ.items() if name != "ROLLWAVE_ROOT"}
    return subprocess.run(
        [sys.executable, str(program), *overrides], capture_output=True, text=True, cwd="/", env=clean | environment
    )


def test_a_run_names_its_folder_first_and_last_and_works_from_any_folder(program: Path) -> None:
    result = run(program)
    lines = result.stdout.splitlines()
    assert result.returncode == 0
    assert lines[0] == lines[-1] == f"run folder: {program.parent / 'logs'}"
    assert (program.parent / "logs" / "value.txt").read_text() == "1/2"


def test_the_root_can_be_chosen(program: Path, tmp_path: Path) -> None:
    result = run(program, ROLLWAVE_ROOT=str(tmp_path / "elsewhere"))
    assert result.returncode == 0
    assert (tmp_path / "elsewhere" / "logs" / "value.txt").exists()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ratio.numeratr=3", ["unknown config key 'ratio.numeratr'", "Did you mean 'numerator'?", "denominator"]),
        ("stepz=3", ["unknown config key 'stepz'", "Did you mean 'steps'?", "legal keys of the top level"]),
        ("ratio=third", ["Could not find 'ratio/third'", "Available options in 'ratio'", "half"]),
        ("ratio.denominator=0", ["ZeroDivisionError", "while building config key: ratio"]),
        ("ratio.denominator=[1", ["no viable alternative"]),
    ],
)
def test_a_mistake_gets_a_message_on_one_screen(program: Path, override: str, expected: list[str]) -> None:
    result = run(program, override)
    assert result.returncode == 1
    assert [text for text in expected if text not in result.stderr] == []
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) < 20


def test_the_traceback_is_kept_in_the_run_folder(program: Path) -> None:
    result = run(program, "ratio.denominator=0")
    log = program.parent / "logs" / "error.log"
    assert str(log) in result.stderr
    assert "ZeroDivisionError" in log.read_text()


def test_a_sweep_keeps_the_traceback_with_the_job_that_failed(program: Path, tmp_path: Path) -> None:
    result = run(program, "-m", "ratio.denominator=0,2", f"hydra.sweep.dir={tmp_path}/sweep")
    assert result.returncode == 1
    assert "ZeroDivisionError" in (tmp_path / "sweep" / "0" / "error.log").read_text()
    assert (tmp_path / "sweep" / "1" / "value.txt").exists()
    assert not (tmp_path / "sweep" / "1" / "error.log").exists()


def test_the_traceback_can_be_printed(program: Path) -> None:
    assert "Traceback" in run(program, "ratio.denominator=0", ROLLWAVE_TRACEBACK="1").stderr


def test_a_full_disk_is_told_from_other_errors() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "data/shard.hdf5")
    message = explain(full)
    assert "disk is full" in message
    assert "data/shard.hdf5" in message
    assert "disk is full" not in explain(OSError(errno.EACCES, "Permission denied", "data/shard.hdf5"))


def test_a_full_disk_says_how_a_training_run_goes_on() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "ckpt_path=" in explain(full, "train")
    assert "ckpt_path=" not in explain(full, "generate")


def replaced() -> None:
    """Raises an error in the place of another, as a message for the user does."""
    try:
        raise PermissionError(errno.EACCES, "Permission denied", "checkpoint")
    except OSError:
        raise ValueError("expected a checkpoint") from None


def test_an_error_that_was_replaced_is_not_dug_up() -> None:
    with pytest.raises(ValueError, match="expected a checkpoint") as caught:
        replaced()
    assert explain(caught.value) == "expected a checkpoint"


def test_a_folder_that_cannot_be_written_names_the_other_place() -> None:
    assert "ROLLWAVE_ROOT" in explain(OSError(errno.EROFS, "Read-only file system", "logs"))
