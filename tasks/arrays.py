"""Types of arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.float32]
Labels = npt.NDArray[np.floating[Any]]
"""Nuisance or composition: float64 as drawn, float32 as read."""
