"""Accuracy of emulator and synthesis: measurements, the report and its figures."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
NUMBERS_PATH = FOLDER / "fidelity.json"
ARRAYS_PATH = FOLDER / "fidelity.npz"
REPORT_PATH = FOLDER / "FIDELITY.md"
FIGURES = FOLDER / "figures"

# Targets for the emulator and for the synthesis.
TARGET_RMS, TARGET_P99 = 0.0006, 0.0025
TARGET_CORRELATION, RESPONSE_FLOOR = 0.95, 0.0005
TARGET_PUBLISHED_RMS, TARGET_PUBLISHED_CORRELATION = 0.033, 0.88
# A fitted difference of an abundance agrees with the published one within this many standard
# errors; those of a larger standard error [dex] are left open.
MAX_ERRORS, LOOSE = 3, 0.03
