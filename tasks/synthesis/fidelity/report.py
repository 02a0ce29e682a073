"""The report ``FIDELITY.md``, rendered from the measurements."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from starbench.tasks.synthesis import engine, spectrum, training_set
from starbench.tasks.synthesis import fidelity as targets
from starbench.tasks.synthesis.fidelity.measure import DEFAULT, FINE
from starbench.tasks.synthesis.fidelity.published import PUBLISHED_ELEMENTS
from starbench.tasks.synthesis.fidelity.second import corrections
from starbench.tasks.synthesis.moog import arcturus
from starbench.tasks.synthesis.moog.fit_lines import RECORD_PATH

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
SETTING_NAMES = {
    "oversampling": "points per pixel",
    "angles": "angles",
    "threshold": "line threshold",
    "reach": "reach of the Brackett lines [A]",
}


def render(
    numbers: dict[str, Any],
    facts: dict[str, Any],
    comparison: str,
    second: dict[str, Any],
    second_facts: dict[str, Any],
) -> str:
    """Return the report.

    Parameters
    ----------
    numbers : dict
        Contents of ``fidelity.json``.
    facts : dict
        Contents of ``emulator.json``.
    comparison : str
        Contents of ``comparison.csv``, which `compare_emulators` wrote.
    second, second_facts : dict
        The same numbers and facts of the second generator.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # Markdown from our own numbers
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters["small"] = _small
    return environment.get_template("FIDELITY.md.j2").render(
        **numbers,
        facts=facts,
        second=second,
        second_facts=second_facts,
        second_targets=_second_targets(second),
        fit=json.loads(RECORD_PATH.read_text()),
        arcturus=arcturus,
        corrections=corrections(),
        deep=targets.DEEP,
        candidates=list(csv.DictReader(io.StringIO(comparison))),
        targets=_targets(numbers),
        published_mean=_published_mean(numbers),
        depth_ratio=np.mean(
            [row["depth_rms"] / row["published_depth_rms"] for row in numbers["published"]]
        ),
        refined=_refined(numbers),
        published_elements=PUBLISHED_ELEMENTS,
        **_verdicts(numbers["differences"]["abundances"]),
        macroturbulence=spectrum.MACROTURBULENCE,
        reach=engine.HYDROGEN_REACH,
        response_stars=len(training_set.RESPONSE_STARS),
        response_step=training_set.RESPONSE_STEP,
    )


def _small(value: float) -> str:
    return f"{value:.6f}" if value < 0.001 else f"{value:.4f}"


def _published_mean(numbers: dict[str, Any]) -> dict[str, float]:
    """Return the means over the published spectra."""
    return {
        name: float(np.mean([row[name] for row in numbers["published"]]))
        for name in ("rms", "correlation")
    }


def _targets(numbers: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return quantity, target, what was measured, and whether the target is met."""
    held_out, published = numbers["held_out"], _published_mean(numbers)
    strong = [row for row in numbers["response"] if row["rms"] > targets.RESPONSE_FLOOR]
    least = min(strong, key=lambda row: row["correlation"])
    rms, p99, n_stars = held_out["rms"], held_out["p99"], int(held_out["stars"])
    return [
        ("held-out stars", "at least 200", str(n_stars), n_stars >= 200),
        ("held-out rms", f"<= {targets.TARGET_RMS}", _small(rms), rms <= targets.TARGET_RMS),
        (
            "held-out 99th percentile",
            f"<= {targets.TARGET_P99}",
            _small(p99),
            p99 <= targets.TARGET_P99,
        ),
        (
            f"correlation of each response of rms > {targets.RESPONSE_FLOOR}",
            f">= {targets.TARGET_CORRELATION}",
            f"{least['correlation']:.4f} ({least['abundance']}, the lowest of {len(strong)})",
            least["correlation"] >= targets.TARGET_CORRELATION,
        ),
        (
            "rms to the published spectra, mean",
            f"<= {targets.TARGET_PUBLISHED_RMS}",
            f"{published['rms']:.4f}",
            published["rms"] <= targets.TARGET_PUBLISHED_RMS,
        ),
        (
            "correlation with the published spectra, mean",
            f">= {targets.TARGET_PUBLISHED_CORRELATION}",
            f"{published['correlation']:.3f}",
            published["correlation"] >= targets.TARGET_PUBLISHED_CORRELATION,
        ),
    ]


def _second_targets(second: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return what `_targets` returns, for the second generator."""
    held_out, arcturus_rms = second["held_out"], second["arcturus"]["after"]["rms"]
    strong = [row for row in second["fit"] if row["rms"] > targets.RESPONSE_FLOOR]
    least = min(strong, key=lambda row: row["correlation"])
    rms, n_stars = held_out["rms"], int(held_out["stars"])
    strong_enough = f"of rms > {targets.RESPONSE_FLOOR}"
    return [
        ("held-out stars", "at least 200", str(n_stars), n_stars >= 200),
        (
            "held-out rms",
            f"<= {targets.TARGET_SECOND_RMS}",
            _small(rms),
            rms <= targets.TARGET_SECOND_RMS,
        ),
        (
            "rms to Arcturus, over all pixels",
            f"<= {targets.TARGET_ARCTURUS_RMS}",
            f"{arcturus_rms:.4f}",
            arcturus_rms <= targets.TARGET_ARCTURUS_RMS,
        ),
        (
            f"correlation of each response {strong_enough} with that before the fit",
            f">= {targets.TARGET_FIT_CORRELATION}",
            f"{least['correlation']:.3f} ({least['abundance']}, the lowest of {len(strong)})",
            least["correlation"] >= targets.TARGET_FIT_CORRELATION,
        ),
    ]


def _verdicts(abundances: list[dict[str, Any]]) -> dict[str, Any]:
    """Return which abundances a fit of differences confirms, contradicts and leaves open."""
    groups: dict[str, list[dict[str, Any]]] = {"within": [], "beyond": [], "loose": []}
    for row in abundances:
        deviation = abs(row["fitted"] - row["published"])
        row = {**row, "deviation": deviation, "in_errors": deviation / row["error"]}
        if row["error"] > targets.LOOSE:
            groups["loose"].append(row)
        else:
            groups["within" if row["in_errors"] <= targets.MAX_ERRORS else "beyond"].append(row)
    return {
        **groups,
        "loose_error": targets.LOOSE,
        "max_errors": targets.MAX_ERRORS,
        "carbon": next(row for row in abundances if row["abundance"] == "C/Fe"),
    }


def _refined(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each numerical setting with its default, its refined value and a row per star."""
    return [
        {
            "name": SETTING_NAMES[setting],
            "default": DEFAULT[setting],
            "fine": FINE[setting],
            "stars": [row for row in numbers["settings"] if row["refined"] == setting],
        }
        for setting in dict.fromkeys(row["refined"] for row in numbers["settings"])
    ]
