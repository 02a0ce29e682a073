"""Accuracy of emulator and synthesis: measurements, the report and its figures."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
NUMBERS_PATH = FOLDER / "fidelity.json"
ARRAYS_PATH = FOLDER / "fidelity.npz"
SECOND_NUMBERS_PATH = FOLDER / "moog" / "fidelity.json"
SECOND_ARRAYS_PATH = FOLDER / "moog" / "fidelity.npz"
REPORT_PATH = FOLDER / "FIDELITY.md"
FIGURES = FOLDER / "figures"

# Targets for the emulator and for the synthesis.
TARGET_RMS, TARGET_P99 = 0.0006, 0.0025
TARGET_CORRELATION, RESPONSE_FLOOR = 0.95, 0.0005
TARGET_PUBLISHED_RMS, TARGET_PUBLISHED_CORRELATION = 0.033, 0.88
# A fitted difference of an abundance agrees with the published one within this many standard
# errors; those of a larger standard error [dex] are left open.
MAX_ERRORS, LOOSE = 3, 0.03

# Targets for the second generator and its emulator.
TARGET_SECOND_RMS = 0.0004
TARGET_ARCTURUS_RMS = 0.008
TARGET_FIT_CORRELATION = 0.8
# Depth in Arcturus above which the correction of a line is counted.
DEEP = 0.05
