"""The provenance of a row: versions, commit, machine and peak memory."""

import hashlib
import importlib.metadata
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import psutil

import starbench
from starbench.common.git import git_environment
from starbench.common.threads import machine_cores

# Libraries whose version can change a result.
LIBRARIES = ("h5py", "numba", "numpy", "safetensors", "torch")
_LONGEST = 300  # characters of a text in a row
# Tracked files that no run reads: what `starbench leaderboard add`, `confirm` and `build` write
# while other runs are on their way, and texts.
_NOT_CODE = (
    "leaderboard/confirmations",
    "leaderboard/reproductions",
    "leaderboard/requests",
    "leaderboard/rows",
    "leaderboard/*.csv",
    "docs",
    "*.md",
)


@dataclass(frozen=True)
class Machine:
    """The machine of a run; the attributes are those of `starbench.results.schema.Hardware`."""

    processor: str
    cores: int
    threads: int
    memory_gib: float
    device: str
    accelerator: str | None
    system: str
    processor_model: str | None
    instruction_sets: dict[str, str]
    linear_algebra: dict[str, str]


@dataclass(frozen=True)
class Provenance:
    """The code and the machine that made a row.

    Attributes
    ----------
    starbench_version : str
    commit : str or None
        None outside a git checkout.
    dirty : bool or None
        Whether tracked files differed from the commit, as `checkout` tells.
    libraries : dict of str to str
        Versions by name.
    environment_sha256 : str
        As `environment_digest` returns it.
    hardware : Machine
    """

    starbench_version: str
    commit: str | None
    dirty: bool | None
    libraries: dict[str, str]
    environment_sha256: str
    hardware: Machine


def current_provenance(device: str, threads: int) -> Provenance:
    """Describe the code and the machine of this process.

    Parameters
    ----------
    device : str
        The torch device of the method.
    threads : int
        Threads that the run uses.
    """
    commit, dirty = checkout()
    return Provenance(
        starbench.__version__,
        commit,
        dirty,
        library_versions(),
        environment_digest(),
        hardware(device, threads),
    )


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **versions}


@cache
def environment_digest() -> str:
    """Return the SHA-256 of the versions of Python and of all installed distributions."""
    installed = {
        f"{re.sub('[-_.]+', '-', each.name).lower()}=={each.version}"
        for each in importlib.metadata.distributions()
        if each.name and each.name != "starbench"  # which the row's commit determines
    }
    text = "\n".join([f"python=={platform.python_version()}", *sorted(installed)])
    return hashlib.sha256(text.encode()).hexdigest()


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=git_environment(),
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def checkout(folder: Path | None = None) -> tuple[str | None, bool | None]:
    """Return the commit of starbench's checkout and whether tracked code differs from it.

    Changes of texts and of the leaderboard's rows and tables do not count, as no run reads them.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Root of the checkout, by default that of this package.

    Returns
    -------
    commit : str or None
        None if starbench does not run from a git checkout, such as after an install from a
        package index.
    dirty : bool or None
    """
    root = folder.resolve() if folder else Path(__file__).resolve().parents[2]
    top = _git(root, "rev-parse", "--show-toplevel")
    # An installed copy may lie inside another repository, whose commit is not that of starbench.
    if top is None or Path(top).resolve() != root:
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    without = (f":(top,exclude){path}" for path in _NOT_CODE)
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *without)
    return commit, None if changes is None else bool(changes)


def _cpuinfo() -> dict[str, str]:
    """Return what Linux says of the first processor, by name; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    return {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }


def _processor_model(cpuinfo: dict[str, str]) -> str | None:
    """Return vendor, family, model and stepping, as x86 or ARM name them; None if unknown."""
    known = [
        f"{name} {cpuinfo[name]}"
        for name in ("vendor_id", "cpu family", "model", "stepping",
                     "CPU implementer", "CPU architecture", "CPU variant", "CPU part",
                     "CPU revision")
        if name in cpuinfo
    ]  # fmt: skip
    return ", ".join(known) or None


def instruction_sets() -> dict[str, str]:
    """Return the instruction sets that torch and NumPy use on this machine."""
    import torch

    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "torch": torch.backends.cpu.get_cpu_capability(),
        "numpy": " ".join(found)[-_LONGEST:] or "baseline",
    }


def linear_algebra() -> dict[str, str]:
    """Return the kernels of NumPy's and torch's linear algebra, by library and version.

    MKL, which torch's wheels for x86 hold, does not tell its kernels: they follow from the
    processor's model.
    """
    import torch
    from threadpoolctl import ThreadpoolController

    kernels = {}
    for library in ThreadpoolController().select(user_api="blas").info():
        folder = Path(library["filepath"]).parent.name
        if folder.endswith(".libs") and folder != "numpy.libs":
            continue  # what the wheel of another package brings is loaded in some processes only
        name = f"{library['internal_api']} {library['version']}"
        kernels[name] = library.get("architecture") or "unknown"
    built = re.search(r"Math Kernel Library Version ([\d.]+)", torch.__config__.show())
    if built:
        kernels[f"mkl {built[1]}"] = "by processor"
    return kernels


def hardware(device: str, threads: int) -> Machine:
    """Describe the machine of this process, for a run on a torch device with some threads."""
    accelerator = None
    if device.startswith("cuda"):
        import torch

        accelerator = torch.cuda.get_device_name(torch.device(device))
    cpuinfo = _cpuinfo()
    return Machine(
        processor=cpuinfo.get("model name") or platform.processor() or platform.machine(),
        cores=machine_cores(),
        threads=threads,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        device=device,
        accelerator=accelerator,
        system=f"{platform.system()} {platform.machine()}",
        processor_model=_processor_model(cpuinfo),
        instruction_sets=instruction_sets(),
        linear_algebra=linear_algebra(),
    )


def peak_memory_bytes() -> int:
    """Return the peak resident memory of this process [bytes]."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would also count the shell that started Python
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
