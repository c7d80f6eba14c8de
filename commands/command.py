"""How a program runs: its config composed, its run folder named first and last, its errors told on one screen."""

import difflib
import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import Container, DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from rich.console import Console

# How a program that was cut short goes on, by its name.
GOES_ON = {
    "train": "continue with ckpt_path=<run folder>/checkpoints/last.ckpt if it is there",
    "generate": "the same command finishes the rest",
}

_console = Console(soft_wrap=True, highlight=False, markup=False)
_errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def run_folder() -> Path:
    """The folder of the running program: its config, logs, checkpoints and results."""
    return Path(HydraConfig.get().runtime.output_dir)


def is_main_process() -> bool:
    """True in the one process of a distributed run that speaks: rank zero, or the only one."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def command(task: Callable[[DictConfig], object], script: str) -> None:
    """Run `task` on the config that `configs/<script's stem>.yaml` beside `script` and the command line compose.

    `ROLLWAVE_ROOT`, the folder of `data/` and `logs/`, defaults to the script's folder, so a program runs from
    anywhere. An exception ends the program with exit code 1, its message on one screen and its traceback in
    `<run folder>/error.log`; `ROLLWAVE_TRACEBACK=1` prints the traceback as well.
    """
    path = Path(script).resolve()
    os.environ.setdefault("ROLLWAVE_ROOT", str(path.parent))
    os.environ["HYDRA_FULL_ERROR"] = "1"
    folder: list[Path] = []
    failed: list[Path] = []

    def announced(config: DictConfig) -> object:
        folder.append(run_folder())
        if is_main_process():
            _console.print(f"run folder: {folder[-1]}")
        try:
            result = task(config)
        except Exception:
            failed.append(folder[-1])
            raise
        if is_main_process():
            _console.print(f"run folder: {folder[-1]}")
        return result

    announced.__name__ = path.stem
    try:
        hydra.main(version_base="1.3", config_path=str(path.parent / "configs"), config_name=path.stem)(announced)()
    except KeyboardInterrupt:
        _errors.print(f"interrupted; {GOES_ON.get(path.stem, 'run the same command again')}")
        if folder and is_main_process():
            _errors.print(f"run folder: {folder[-1]}")
        sys.exit(130)
    except Exception as error:
        # A sweep runs its other jobs too, and ends with the error of the first that failed.
        _report(error, failed[0] if failed else None, path.stem)
        sys.exit(1)


def _report(error: Exception, folder: Path | None, program: str) -> None:
    """Print what went wrong and what to do, and keep the traceback where the run's other files are."""
    _errors.print(f"\nerror: {explain(error, program)}")
    if os.environ.get("ROLLWAVE_TRACEBACK") == "1":
        _errors.print("".join(traceback.format_exception(error)))
    if folder is None:
        return
    try:
        (folder / "error.log").write_text("".join(traceback.format_exception(error)))
        _errors.print(f"traceback: {folder / 'error.log'}")
    except OSError as unwritable:
        _errors.print(f"traceback not written ({unwritable.strerror}); set ROLLWAVE_TRACEBACK=1 to see it")
    _errors.print(f"run folder: {folder}")


def explain(error: BaseException, program: str = "") -> str:
    """The message a user of `program` needs: a misspelt key's legal ones, the cause inside a wrapper, what to do on a
    full disk.
    """
    unknown = _first(error, ConfigKeyError, ConfigAttributeError)
    if isinstance(unknown, OmegaConfBaseException):
        return _explain_unknown_key(unknown)
    full = _first(error, OSError)
    if isinstance(full, OSError) and full.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        where = f" while writing {full.filename}" if full.filename else ""
        return (
            f"the disk is full{where}; free some space, or write elsewhere with paths.data=... or paths.logs=...; "
            f"then {GOES_ON.get(program, 'run the same command again')}"
        )
    if isinstance(full, OSError) and full.errno in (errno.EROFS, errno.EACCES):
        return (
            f"{full}; look at its permissions, or write elsewhere with ROLLWAVE_ROOT=<folder>, or with paths.data=... "
            "and paths.logs=..."
        )
    inner = error
    while (
        isinstance(inner, HydraException)
        and inner.__cause__ is not None
        and not isinstance(inner.__cause__, OmegaConfBaseException)
    ):
        inner = inner.__cause__
    message = str(inner).strip() or type(inner).__name__
    expected = isinstance(
        inner, ValueError | TypeError | OSError | RuntimeError | HydraException | OmegaConfBaseException
    )
    context = ""
    if inner is not error and isinstance(error, HydraException):
        keys = [line.split(":", 1)[1].strip() for line in str(error).splitlines() if line.startswith("full_key:")]
        context = f"\n(while building config key: {keys[0]})" if keys else ""
    return (message if expected else f"{type(inner).__name__}: {message}") + context


def _first(error: BaseException | None, *kinds: type[BaseException]) -> BaseException | None:
    """The first exception of one of `kinds` along the chain of causes, as far as a traceback would show it."""
    while error is not None:
        if isinstance(error, kinds):
            return error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _explain_unknown_key(error: OmegaConfBaseException) -> str:
    key, full_key = str(error.key), str(error.full_key)
    parent = error.parent_node
    legal = sorted(str(name) for name in parent) if isinstance(parent, Container) else []
    close = difflib.get_close_matches(key, legal, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    where = full_key.rpartition(".")[0] or "the top level"
    return f"unknown config key {full_key!r}.{hint}\nlegal keys of {where}: {', '.join(legal) or 'none'}"
