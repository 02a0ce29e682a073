"""How many threads a process uses, and how they wait for each other.

The number follows the user's choice, or what the batch system and the container allow. Waiting
matters on a busy machine: threads that spin while another waits for a core keep that core from it.
Measured on two cores beside six to eleven other processes, least and most of several windows: a
step of training a torch network of 2.4 million weights, and ten products of a 256 x 1024 with a
1024 x 512 matrix in NumPy.

=====================================  ============  =============
threads                                wall [ms]     CPU time [ms]
=====================================  ============  =============
torch, 1                               109 - 383     38 - 48
torch, 2, spinning as by default       680 - 2952    272 - 634
torch, 2, GOMP_SPINCOUNT=10000         245 - 304     56 - 91
torch, 2, OMP_WAIT_POLICY=PASSIVE      84 - 251      43 - 56
NumPy, 1                               104 - 114     32 - 37
NumPy, 2 (OpenBLAS)                    408 - 1194    136 - 314
NumPy, 2, OPENBLAS_THREAD_TIMEOUT=10   768 - 905     221 - 247
=====================================  ============  =============

On two idle cores a step of fader's training takes 10.4 ms on one thread; on two 7.2 ms as by
default, 10.0 with OMP_WAIT_POLICY=PASSIVE, 9.5 with GOMP_SPINCOUNT=1000, and 7.1 with
GOMP_SPINCOUNT=10000.
"""

import os
from pathlib import Path

# Read by OpenMP and set by batch systems: cores that others may be using lie beyond them.
_VARIABLES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
# How OpenMP's threads wait: the standard's variable, and those of GNU's and LLVM's libraries.
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
_chosen: int | None = None


def machine_cores() -> int:
    """Return the number of processor cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_cores() -> int:
    """Return the number of processor cores that this process should use.

    The cores it may run on, or fewer if OMP_NUM_THREADS, SLURM_CPUS_PER_TASK or the quota of its
    container says so. Threads beyond a quota wait for each other while they use it up.
    """
    limits = [machine_cores()]
    for name in _VARIABLES:
        first = os.environ.get(name, "").partition(",")[0].strip()  # of nested levels
        if first.isdecimal() and int(first):
            limits.append(int(first))
    quota = cgroup_quota()
    if quota is not None:
        limits.append(max(1, int(quota)))
    return min(limits)


def most_threads() -> int:
    """Return how many threads may be asked for: thousands make a machine stand still.

    Far more than the cores are allowed, as some results depend on the number of threads in their
    last bits, and a run of a larger machine may be repeated.
    """
    return max(64, 8 * machine_cores())


def most_processes() -> int:
    """Return how many processes at once may be asked for, each of which takes memory."""
    return 4 * machine_cores()


def too_many(number: int, most: int) -> str | None:
    """Return why a number of threads or processes is refused; None if it is small enough."""
    if number <= most:
        return None
    cores = machine_cores()
    return (
        f"{number} is too many for the {cores} core{'s' if cores > 1 else ''} of this machine; "
        f"give at most {most}."
    )


def wait_briefly() -> None:
    """Let OpenMP's threads sleep after a short wait, unless the environment says otherwise.

    GNU's library, torch's on Linux, counts turns of a loop, LLVM's and Intel's milliseconds. They
    read the variable when they are loaded: call this before torch is imported.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["GOMP_SPINCOUNT"] = "10000"
        os.environ["KMP_BLOCKTIME"] = "1"


def limit_threads(threads: int) -> None:
    """Set the number of threads of NumPy's linear algebra and of `default_threads`.

    OpenBLAS, which NumPy's wheels hold, gets one thread: its own threads spin at every step of a
    product, and no setting stops them. torch has its own number, which the caller sets: importing
    it takes seconds.
    """
    from threadpoolctl import ThreadpoolController

    global _chosen
    _chosen = threads
    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        spins = getattr(library, "threading_layer", None) == "pthreads"
        library.set_num_threads(1 if spins else threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for copies that are loaded later, such as SciPy's


def default_threads() -> int:
    """Return the number of threads last set, or else `available_cores`."""
    return available_cores() if _chosen is None else _chosen


def cgroup_quota(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Return the cores' worth of time that Linux grants this process's control groups.

    Parameters
    ----------
    groups : pathlib.Path
        File that lists the control groups of the process.
    root : pathlib.Path
        Where they are mounted.

    Returns
    -------
    float or None
        The smallest quota; None without a quota.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inner = Path(path.lstrip("/"))
        for folder in (inner, *inner.parents):
            if not controllers:  # version 2
                quotas.append(_ratio(root / folder / "cpu.max"))
            elif "cpu" in controllers.split(","):
                place = root / "cpu" / folder
                quotas.append(_ratio(place / "cpu.cfs_quota_us", place / "cpu.cfs_period_us"))
    return min((quota for quota in quotas if quota is not None), default=None)


def _ratio(*files: Path) -> float | None:
    """Return quota over period, None where there is no quota or no such file."""
    try:
        words = [word for file in files for word in file.read_text().split()]
        quota, period = (float(word) for word in words)
    except (OSError, ValueError):  # version 2 says `max` for no quota
        return None
    return quota / period if quota > 0 and period > 0 else None
