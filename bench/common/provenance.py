"""What a row says of where it comes from: versions, commit, machine, memory."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil

LIBRARIES = (
    "h5py",
    "numba",
    "numpy",
    "safetensors",
    "torch",
)  # those whose version can change a figure


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **versions}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def checkout(folder: Path | None = None) -> tuple[str | None, bool | None]:
    """Return the commit of starbench's own checkout and whether tracked files differ from it.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Root of the checkout; where this package lies, if not given.

    Returns
    -------
    commit : str or None
        None where starbench does not run from a git checkout, such as after an install from a
        package index.
    dirty : bool or None
    """
    root = folder.resolve() if folder else Path(__file__).resolve().parents[2]
    top = _git(root, "rev-parse", "--show-toplevel")
    # An installed copy may lie inside somebody else's repository, whose commit would say nothing.
    if top is None or Path(top).resolve() != root:
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """Return the model of the processor as the operating system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def hardware(device: str, threads: int) -> dict[str, str | int | float | None]:
    """Describe the machine as `starbench.results.schema.Hardware` has it."""
    accelerator = None
    if device.startswith("cuda"):
        import torch

        accelerator = torch.cuda.get_device_name(torch.device(device))
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "threads": threads,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": device,
        "accelerator": accelerator,
        "system": f"{platform.system()} {platform.machine()}",
    }


def peak_memory_bytes() -> int:
    """Return the most main memory that this process has held so far [bytes]."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would also count what the shell that started Python once held
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
