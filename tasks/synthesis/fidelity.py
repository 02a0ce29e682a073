"""Measure how faithful emulator and synthesis are, and write ``FIDELITY.md`` and its figures.

``python -m starbench.tasks.synthesis.fidelity`` writes the report anew from what was measured last.
``python -m starbench.tasks.synthesis.fidelity --measure DIR --published FILE`` measures first: DIR
is the folder that `training_set` filled, FILE an HDF5 with the spectra published by de Mijolla,
Ness, Viti & Wheeler (2021, ApJ 913, 12). Those bear no licence and are therefore not part of this
repository; `read_published` says what the file holds.

The measurements are ``fidelity.json`` (numbers) and ``fidelity.npz`` (what the figures show). Fits
and syntheses done are kept in ``DIR/fidelity``, so that a measurement can be stopped and resumed.
"""

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.apogee_giants.population import COMPOSITION_NAMES
from starbench.tasks.synthesis import engine, lines, spectrum, training_set
from starbench.tasks.synthesis.spectrum import LABEL_NAMES, synthesise
from starbench.tasks.synthesis.train_emulator import Settings, error_statistics, fit
from starbench.tasks.synthesis.wavelengths import CHIPS, aspcap_wavelengths

FOLDER = Path(__file__).resolve().parent
NUMBERS_PATH = FOLDER / "fidelity.json"
ARRAYS_PATH = FOLDER / "fidelity.npz"
REPORT_PATH = FOLDER / "FIDELITY.md"
FIGURES = FOLDER / "figures"

LEARNING_CURVE = (150, 300, 600, 1000)
# What is asked of the emulator and of the chain.
TARGET_RMS, TARGET_P99 = 0.0006, 0.0025
TARGET_CORRELATION, RESPONSE_FLOOR = 0.95, 0.0005
TARGET_PUBLISHED_RMS, TARGET_PUBLISHED_CORRELATION = 0.033, 0.88

# The stars of `RESPONSE_STARS` for which the numerical settings are refined, and the settings.
REFINED_STARS = (0, 3, 5)
FINE = {"oversampling": 6, "angles": 8, "threshold": 1e-4, "reach": 400.0}
DEFAULT = {
    "oversampling": spectrum.OVERSAMPLING,
    "angles": spectrum.ANGLES,
    "threshold": engine.LINE_THRESHOLD,
    "reach": engine.HYDROGEN_REACH,
}
SETTING_NAMES = {
    "oversampling": "points a pixel",
    "angles": "angles",
    "threshold": "line threshold",
    "reach": "reach of the Brackett lines [A]",
}

# Columns of the published abundances [X/M]; their order was deduced, not documented.
PUBLISHED_ELEMENTS = (
    "N", "O", "Na", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "V", "Mn", "Ni", "P", "Cr", "Co",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """The published spectra on the pixels of `aspcap_wavelengths`.

    Parameters
    ----------
    labels : numpy.ndarray [n, 19]
        In the order and units of `LABEL_NAMES`.
    flux : numpy.ndarray [n, 7214]
        Normalised flux.
    """

    labels: np.ndarray
    flux: np.ndarray


def read_published(path: Path) -> Published:
    """Read the published spectra.

    Parameters
    ----------
    path : pathlib.Path
        An HDF5 file with ``flux`` [n, p], ``apstar_pixel`` [p] (index on the apStar grid),
        ``params`` [n, 5] (Teff [K], log g, [M/H], alpha-like and carbon-like enhancement [dex]) and
        ``abundances`` [n, 17] ([X/M] in the order of `PUBLISHED_ELEMENTS` and one of unknown
        element, which is left out, as phosphorus is).
    """
    import h5py

    pixels = np.concatenate([np.arange(*chip) for chip in CHIPS])
    with h5py.File(path) as file:
        at = np.searchsorted(file["apstar_pixel"][:], pixels)
        if not np.array_equal(file["apstar_pixel"][:][at], pixels):
            raise ValueError(f"{path} lacks pixels of the ASPCAP grid")
        flux = file["flux"][:][:, at]
        parameters, abundances = file["params"][:], file["abundances"][:]
    labels = np.zeros((len(flux), len(LABEL_NAMES)))
    labels[:, :3] = parameters[:, :3]
    labels[:, LABEL_NAMES.index("C/Fe")] = parameters[:, 4]
    for element, ratio in zip(PUBLISHED_ELEMENTS, abundances.T, strict=False):
        if f"{element}/Fe" in LABEL_NAMES:
            labels[:, LABEL_NAMES.index(f"{element}/Fe")] = ratio
    return Published(labels, flux)


def rms(values: np.ndarray, axis=None) -> np.ndarray:
    """Return the root mean square along an axis."""
    return np.sqrt(np.mean(np.square(values), axis=axis))


def response_table(emulated: np.ndarray, exact: np.ndarray) -> list[dict]:
    """Compare the responses to a raised abundance.

    Parameters
    ----------
    emulated, exact : numpy.ndarray [n_stars, n_elements, n_pixels]
        Change of the flux.

    Returns
    -------
    list of dict
        For each element over all stars and pixels: rms of the exact response, correlation, ratio of
        the rms amplitudes, rms of the difference; and the lowest correlation of a single star.
    """
    rows = []
    for index, name in enumerate(COMPOSITION_NAMES):
        e, x = emulated[:, index], exact[:, index]
        stars = [np.corrcoef(a, b)[0, 1] for a, b in zip(e, x, strict=True)]
        rows.append(
            {
                "abundance": name,
                "rms": float(rms(x)),
                "correlation": float(np.corrcoef(e.ravel(), x.ravel())[0, 1]),
                "least_correlation": float(min(stars)),
                "amplitude": float(rms(e) / rms(x)),
                "error_rms": float(rms(e - x)),
            }
        )
    return rows


def measure(sets: Path, published: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Measure all that the report shows; some minutes on one core.

    Parameters
    ----------
    sets : pathlib.Path
        Folder that `training_set` filled.
    published : pathlib.Path
        See `read_published`.

    Returns
    -------
    numbers : dict
        Contents of ``fidelity.json``.
    arrays : dict of numpy.ndarray
        Contents of ``fidelity.npz``.
    """
    emulator = Emulator.load()
    _, labels, flux = training_set.load_set(sets / "held-out")
    error = emulator.flux(labels) - flux
    stars = rms(error, axis=1)
    numbers = {
        "emulator_sha256": emulator.sha256,
        "line_table_sha256": hashlib.sha256(lines.PATH.read_bytes()).hexdigest(),
        "held_out": error_statistics(error),
        "held_out_greatest": float(np.abs(error).max()),
        "held_out_scatter": float(rms(flux - flux.mean(axis=0))),
        "worst_star": dict(zip(LABEL_NAMES, labels[stars.argmax()].tolist(), strict=True)),
    }
    arrays = {
        "pixel_rms": rms(error, axis=0),
        "star_rms": stars,
        "star_labels": labels,
    }
    numbers["learning_curve"] = learning_curve(sets, emulator)
    _, labels, exact = training_set.load_set(sets / "response")
    blocks = (len(training_set.RESPONSE_STARS), 1 + len(COMPOSITION_NAMES), -1)
    emulated, exact = emulator.flux(labels).reshape(blocks), exact.reshape(blocks)
    numbers["response"] = response_table(
        *(x[:, 1:].astype(float) - x[:, :1] for x in (emulated, exact))
    )

    table = read_published(published)
    exact = np.array(
        [
            _synthesise(sets / "fidelity" / f"published-{index:02d}.npz", star)
            for index, star in enumerate(tqdm(table.labels, "published stars"))
        ]
    )
    numbers["published"] = [
        {
            **dict(zip(LABEL_NAMES[:3], star[:3].tolist(), strict=True)),
            "rms": float(rms(x - y)),
            "correlation": float(np.corrcoef(x, y)[0, 1]),
            "depth_rms": float(rms(1 - x)),
            "published_depth_rms": float(rms(1 - y)),
            "mean_difference": float((x - y).mean()),
        }
        for star, x, y in zip(table.labels, exact, table.flux, strict=True)
    ]
    arrays |= {"published_labels": table.labels, "published_synthesis": exact}
    arrays["published_difference_rms"] = rms(exact - table.flux, axis=0)

    numbers["settings"] = refinements(sets)
    return numbers, {name: np.asarray(x, np.float32) for name, x in arrays.items()}


def _synthesise(path: Path, labels: np.ndarray, **settings) -> np.ndarray:
    """Return the flux [7214] of one star, from the file if that exists."""
    if not path.exists():
        flux = synthesise(labels, **settings)
        path.parent.mkdir(exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, labels=labels, flux=flux.astype(np.float32))
        partial.replace(path)
    with np.load(path) as file:
        if not np.array_equal(file["labels"], labels):
            raise ValueError(f"{path} holds another star: delete it")
        return file["flux"].astype(float)


def learning_curve(sets: Path, emulator: Emulator) -> list[dict]:
    """Return error statistics of fits to the first training stars, the shipped one at the end."""
    _, labels, flux = training_set.load_set(sets / "train")
    _, test_labels, test_flux = training_set.load_set(sets / "held-out")
    if len(labels) != emulator.facts["training_stars"]:
        raise ValueError(
            f"{sets} holds {len(labels)} training stars, but the emulator was fitted to "
            f"{emulator.facts['training_stars']}"
        )
    facts = {"labels": emulator.facts["labels"]}
    rows = []
    for count in tqdm((*LEARNING_CURVE, len(labels)), "fits"):
        path = sets / "fidelity" / f"fit-{count}.json"
        if count == len(labels):
            fitted = emulator
        elif path.exists():
            rows.append(json.loads(path.read_text()))
            continue
        else:
            torch.manual_seed(0)
            fitted = Emulator(fit(labels[:count], flux[:count], Settings()), facts)
        error = fitted.flux(test_labels) - test_flux
        rows.append({"training_stars": count, **error_statistics(error)})
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows[-1]))
    return rows


def refinements(sets: Path) -> list[dict]:
    """Return how far the flux moves as each numerical setting alone is refined from its default."""
    _, labels, flux = training_set.load_set(sets / "response")
    rows = []
    for star in tqdm(REFINED_STARS, "settings"):
        base = star * (1 + len(COMPOSITION_NAMES))
        for name, value in FINE.items():
            path = sets / "fidelity" / f"refined-{name}-{star}.npz"
            change = _synthesise(path, labels[base], **{name: value}) - flux[base]
            rows.append(
                {
                    "Teff": labels[base, 0],
                    "logg": labels[base, 1],
                    "refined": name,
                    "rms": float(rms(change)),
                    "greatest": float(np.abs(change).max()),
                }
            )
    return rows


def _markdown(header: list[str], rows: list[list]) -> str:
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in cells)


def _verdict(fine: bool) -> str:
    return "met" if fine else "missed"


def _small(value: float) -> str:
    return f"{value:.6f}" if value < 0.001 else f"{value:.4f}"


def render(numbers: dict, facts: dict, comparison: str) -> str:
    """Return the report.

    Parameters
    ----------
    numbers : dict
        What `measure` returned.
    facts : dict
        ``emulator.json``.
    comparison : str
        Contents of ``comparison.csv``, which `compare_emulators` wrote.
    """
    held_out, worst = numbers["held_out"], numbers["worst_star"]
    curve, response, published = (numbers[x] for x in ("learning_curve", "response", "published"))
    strong = [row for row in response if row["rms"] > RESPONSE_FLOOR]
    least = min(strong, key=lambda row: row["correlation"])
    mean_rms = np.mean([row["rms"] for row in published])
    mean_correlation = np.mean([row["correlation"] for row in published])
    depth_ratio = [row["depth_rms"] / row["published_depth_rms"] for row in published]
    weaker = 100 * (1 - np.mean(depth_ratio))
    candidates = [row.split(",") for row in comparison.splitlines()]
    columns = [
        candidates[0].index(x) for x in ("candidate", "rms", "median", "p99", "worst_star_rms")
    ]
    fitted_on, judged_on = (
        candidates[1][candidates[0].index(x)] for x in ("training_stars", "stars")
    )
    # ", " within a name was quoted by the csv writer
    rows = [_split(row) for row in comparison.splitlines()[1:]]
    settings = {}
    for row in numbers["settings"]:
        settings.setdefault(row["refined"], []).append(row)
    targets = [
        ["held-out stars", "at least 200", int(held_out["stars"]), held_out["stars"] >= 200],
        ["held-out rms", f"<= {TARGET_RMS}", held_out["rms"], held_out["rms"] <= TARGET_RMS],
        [
            "held-out 99th percentile",
            f"<= {TARGET_P99}",
            held_out["p99"],
            held_out["p99"] <= TARGET_P99,
        ],
        [
            f"correlation of each response of rms > {RESPONSE_FLOOR}",
            f">= {TARGET_CORRELATION}",
            f"{least['correlation']:.4f} ({least['abundance']}, the least of {len(strong)})",
            least["correlation"] >= TARGET_CORRELATION,
        ],
        [
            "rms to the published spectra, mean",
            f"<= {TARGET_PUBLISHED_RMS}",
            f"{mean_rms:.4f}",
            mean_rms <= TARGET_PUBLISHED_RMS,
        ],
        [
            "correlation with them, mean",
            f">= {TARGET_PUBLISHED_CORRELATION}",
            f"{mean_correlation:.3f}",
            mean_correlation >= TARGET_PUBLISHED_CORRELATION,
        ],
    ]
    target_table = _markdown(
        ["quantity", "target", "measured", ""],
        [[a, b, _small(c) if isinstance(c, float) else c, _verdict(d)] for a, b, c, d in targets],
    )
    held_out_table = _markdown(
        ["quantity", "value"],
        [
            ["rms over stars and pixels", _small(held_out["rms"])],
            ["median absolute error", _small(held_out["median"])],
            ["95th percentile", _small(held_out["p95"])],
            ["99th percentile", _small(held_out["p99"])],
            ["greatest", _small(numbers["held_out_greatest"])],
            ["rms of the worst star", _small(held_out["worst_star_rms"])],
            [
                "scatter of the spectra themselves about their mean, rms",
                _small(numbers["held_out_scatter"]),
            ],
        ],
    )
    curve_table = _markdown(
        ["training stars", "rms", "median", "p99", "worst star's rms"],
        [
            [
                row["training_stars"],
                *(_small(row[x]) for x in ("rms", "median", "p99", "worst_star_rms")),
            ]
            for row in curve
        ],
    )
    response_rows = _markdown(
        [
            "abundance",
            "rms of PySME's response",
            "correlation",
            "least star's",
            "amplitude ratio",
            "rms of the difference",
        ],
        [
            [
                f"[{row['abundance']}]",
                f"{row['rms']:.5f}",
                f"{row['correlation']:.4f}",
                f"{row['least_correlation']:.4f}",
                f"{row['amplitude']:.3f}",
                f"{row['error_rms']:.5f}",
            ]
            for row in response
        ],
    )
    published_table = _markdown(
        ["Teff [K]", "log g", "[M/H]", "rms", "correlation", "line depth rms, ours", "theirs"],
        [
            [
                f"{row['Teff']:.0f}",
                f"{row['logg']:.1f}",
                f"{row['Fe/H']:+.2f}",
                f"{row['rms']:.4f}",
                f"{row['correlation']:.3f}",
                f"{row['depth_rms']:.4f}",
                f"{row['published_depth_rms']:.4f}",
            ]
            for row in published
        ]
        + [["mean", "", "", f"{mean_rms:.4f}", f"{mean_correlation:.3f}", "", ""]],
    )
    star_names = [f"{row['Teff']:.0f} K, {row['logg']:.1f}" for row in settings["oversampling"]]
    settings_table = _markdown(
        ["setting", "default", "refined", *(f"{star}: rms / greatest" for star in star_names)],
        [
            [
                SETTING_NAMES[name],
                f"{DEFAULT[name]:g}",
                f"{FINE[name]:g}",
                *(f"{row['rms']:.5f} / {row['greatest']:.4f}" for row in group),
            ]
            for name, group in settings.items()
        ],
    )
    candidate_table = _markdown(
        ["candidate", "rms", "median", "p99", "worst star's rms"],
        [[row[column] for column in columns] for row in rows],
    )
    worst_text = ", ".join(
        f"{name} {value:.0f}" if name == "Teff" else f"{name} {value:+.2f}"
        for name, value in worst.items()
    )
    options = facts["settings"]
    return f"""# Fidelity

Generated by `python -m starbench.tasks.synthesis.fidelity`; do not edit. How to measure anew:
[README.md](README.md). Errors are in units of the continuum.

- Emulator `{numbers["emulator_sha256"][:16]}`, fitted to {facts["training_stars"]} stars, design of
  seed {facts["seed"]}, {options["components"]} principal components in {options["groups"]} groups.
- Engine {facts["engine"]}; line table `{numbers["line_table_sha256"][:16]}`.
- 7,214 pixels, R = 22,500, radial-tangential macroturbulence {spectrum.MACROTURBULENCE:g} km/s.

## Targets

{target_table}

## Emulator against PySME

{int(held_out["stars"])} stars of the task's own distribution, from a random stream that no split
uses; they took part in nothing but this.

{held_out_table}

The worst star: {worst_text}.

The same recipe, fitted to the first stars of the design and judged on the same held-out stars:

{curve_table}

![Error of the emulator over wavelength and number of training stars](figures/emulator.png)

### Other recipes

Judged on training stars alone: {fitted_on} are fitted, {judged_on} others judged
(`compare_emulators`). The shipped one is "Gaussian kernel, 7 groups". The errors are larger than
above, as the training stars scatter more in composition than the task's.

{candidate_table}

## Response to each abundance

Each abundance of {len(training_set.RESPONSE_STARS)} stars raised by {training_set.RESPONSE_STEP}
dex, by PySME and by the emulator; over all their pixels. The amplitude ratio is that of the rms,
emulator over PySME.

{response_rows}

## Chain against published spectra

Twelve Turbospectrum/ATLAS9 spectra of de Mijolla, Ness, Viti & Wheeler (2021, ApJ 913, 12),
synthesised here with PySME from the labels they come with: two stars, three metallicities, two
patterns of abundances. No line was tuned to them. The order of their abundances is not documented
but deduced, nitrogen and oxygen with doubt; one column is of unknown element and left out. Other
code, other model atmospheres, other line list. Our lines are weaker by {weaker:.0f} % on average
(rms of the line depth over the pixels).

{published_table}

![A published spectrum and ours](figures/published.png)

## Numerical settings

How far the flux moves as one setting alone is refined, for {len(star_names)} stars:

{settings_table}

## Hydrogen

The Brackett lines 4-10 to 4-23 are in the line table and computed with all others in every star by
the engine's own hydrogen profiles (`gamqst` 4, `gamvw` the upper level). Each is followed to
{engine.HYDROGEN_REACH:g} A from its centre, where PySME would follow it over a thousand; the table
above gives the price in flux. There is no separate correction for hydrogen.
"""


def _split(row: str) -> list[str]:
    import csv

    return next(csv.reader([row]))


def draw_emulator_figure(numbers: dict, arrays: dict[str, np.ndarray]):
    """Return a figure of the held-out error over wavelength, stars and number of training stars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    axis = figure.add_subplot(grid[0, :])
    edges = np.cumsum([last - first for first, last in CHIPS])[:-1]
    for x, y in zip(
        np.split(aspcap_wavelengths(), edges), np.split(arrays["pixel_rms"], edges), strict=True
    ):
        axis.plot(x, y, color="tab:blue", linewidth=0.5)
    axis.set(
        xlabel="vacuum wavelength [Angstrom]",
        ylabel="rms over held-out stars",
        yscale="log",
        title="Emulator minus PySME",
    )
    axis = figure.add_subplot(grid[1, 0])
    points = axis.scatter(
        arrays["star_labels"][:, 0],
        arrays["star_rms"],
        c=arrays["star_labels"][:, 2],
        s=14,
        cmap="viridis",
    )
    figure.colorbar(points, label="[Fe/H]")
    axis.set(xlabel="Teff [K]", ylabel="rms over pixels", yscale="log")
    axis = figure.add_subplot(grid[1, 1])
    count = [row["training_stars"] for row in numbers["learning_curve"]]
    for key, label in (("p99", "99th percentile"), ("rms", "rms"), ("median", "median")):
        axis.plot(count, [row[key] for row in numbers["learning_curve"]], "o-", label=label)
    axis.axhline(TARGET_RMS, color="grey", linestyle=":", label="target rms")
    axis.set(xlabel="training stars", ylabel="held-out error", xscale="log", yscale="log")
    axis.set_xticks(count, map(str, count))
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


def draw_published_figure(synthesis: np.ndarray, flux: np.ndarray, labels: np.ndarray):
    """Return a figure of two published spectra beside ours, in a stretch of each chip.

    Parameters
    ----------
    synthesis, flux : numpy.ndarray [n, 7214]
        Ours and the published.
    labels : numpy.ndarray [n, 19]
        Their labels.
    """
    from matplotlib.figure import Figure

    wavelength = aspcap_wavelengths()
    stretches = ((15_650, 15_800), (16_120, 16_270), (16_650, 16_800))
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(len(stretches), 2, sharey=True)
    for column, star in enumerate((1, 7)):
        for axis, stretch in zip(axes[:, column], stretches, strict=True):
            part = (stretch[0] < wavelength) & (wavelength < stretch[1])
            x, ours, theirs = wavelength[part], synthesis[star, part], flux[star, part]
            axis.plot(x, theirs, color="black", linewidth=0.8, label="published")
            axis.plot(x, ours, color="tab:red", linewidth=0.8, label="PySME, this project")
            axis.plot(
                x, ours - theirs + 0.35, color="tab:blue", linewidth=0.6, label="difference + 0.35"
            )
            axis.set(xlim=stretch, ylim=(0.1, 1.08))
        teff, logg, metallicity = labels[star, :3]
        axes[0, column].set_title(f"{teff:.0f} K, log g {logg:.1f}, [M/H] {metallicity:+.2f}")
        axes[-1, column].set_xlabel("vacuum wavelength [Angstrom]")
    for axis in axes[:, 0]:
        axis.set_ylabel("flux")
    axes[-1, 0].legend(frameon=False, ncols=3, fontsize=7, loc="lower left")
    return figure


def _save(figure, name: str) -> None:
    FIGURES.mkdir(exist_ok=True)
    # without the date and the library's name equal figures are equal files
    figure.savefig(FIGURES / name, dpi=110, metadata={"Software": None})


def write_report() -> None:
    """Write ``FIDELITY.md`` and the emulator's figure from the stored measurements."""
    numbers = json.loads(NUMBERS_PATH.read_text())
    with np.load(ARRAYS_PATH) as file:
        arrays = dict(file)
    comparison = (FOLDER / "comparison.csv").read_text()
    REPORT_PATH.write_text(render(numbers, Emulator.load().facts, comparison))
    _save(draw_emulator_figure(numbers, arrays), "emulator.png")


def main() -> None:
    """Measure, if asked to, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", type=Path, metavar="DIR", help="folder of the sets")
    parser.add_argument("--published", type=Path, metavar="FILE", help="the published spectra")
    options = parser.parse_args()
    if (options.measure is None) != (options.published is None):
        parser.error("--measure and --published go together")
    if options.measure is not None:
        numbers, arrays = measure(options.measure, options.published)
        NUMBERS_PATH.write_text(json.dumps(numbers, indent=1) + "\n")
        np.savez_compressed(ARRAYS_PATH, **arrays)
        published = read_published(options.published)
        figure = draw_published_figure(
            arrays["published_synthesis"], published.flux, published.labels
        )
        _save(figure, "published.png")
    write_report()


if __name__ == "__main__":
    main()
