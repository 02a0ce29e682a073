"""Files of a few made stars, of the structure of APOGEE's and of the Multimodal Universe's."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.importing import Imported, import_survey

WAVELENGTH = 10 ** (4.179 + 6e-6 * np.arange(8575))
DETECTORS = ((246, 3274), (3585, 6080), (6344, 8335))


def bring(places: object, out: Path, **choices: object) -> Imported:
    """Import files or folders, with choices that differ from the defaults."""
    given = places if isinstance(places, list) else [places]
    return import_survey(given, out, Choices(**choices), progress=False)


def normalised_flux(seed: int, n: int = 1) -> np.ndarray:
    """Return noiseless spectra [n, 8575] of shallow lines at a continuum of 1."""
    rng = np.random.default_rng(seed)
    flux = np.ones((n, len(WAVELENGTH)))
    for centre, depth in zip(
        rng.uniform(15200, 16900, 60), rng.uniform(0.05, 0.3, 60), strict=True
    ):
        flux -= depth * np.exp(-0.5 * ((WAVELENGTH - centre) / 0.5) ** 2)
    return flux


def observed(seed: int, snr: float, n: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return flux and error [n, 8575] in flux units, with a sloping continuum and detector gaps."""
    continuum = 1000 * (1 + 0.3 * (WAVELENGTH - 16000) / 1000)
    flux = normalised_flux(seed, n) * continuum
    error = np.broadcast_to(continuum / snr, flux.shape).copy()
    flux += np.random.default_rng(seed + 1000).normal(size=flux.shape) * error
    outside = np.ones(len(WAVELENGTH), bool)
    for start, stop in DETECTORS:
        outside[start:stop] = False
    flux[:, outside], error[:, outside] = 0, 1e10
    return flux.astype(np.float32), error.astype(np.float32)


def write_ap_star(
    path: Path,
    star: str,
    seed: int = 0,
    n_visits: int = 2,
    snr: float = 100.0,
    mask: dict[int, int] | None = None,
    **header: object,
) -> Path:
    """Write an apStar file: two combined rows and the visits, or a single row for one visit.

    `mask` gives the bits of pixels, in all rows.
    """
    n_rows = 1 if n_visits == 1 else n_visits + 2
    flux, error = observed(seed, snr, n_rows)
    bits = np.zeros(flux.shape, np.int16)
    for pixel, value in (mask or {}).items():
        bits[:, pixel] = value
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"OBJID": star, "NVISITS": n_visits, "SNR": snr, "VHELIO": -12.5, "VRAD": 0.0}
        | {"RVTEFF": 4000.0 + 100 * seed, "RVLOGG": 1.0 + 0.1 * seed, "RVFEH": -0.1}
        | {f"SNRVIS{k + 1}": snr / 2**0.5 for k in range(n_visits)}
        | {f"VHELIO{k + 1}": -12.0 - k for k in range(n_visits)}
        | header
    )
    rows = flux[0] if n_visits == 1 else flux
    images = [rows, error.reshape(rows.shape), bits.reshape(rows.shape)]
    units = [fits.ImageHDU(image) for image in images]
    for unit in units:
        unit.header.update(
            {"CRVAL1": 4.179, "CDELT1": 6e-6, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR", "DC-FLAG": 1}
        )
    fits.HDUList([primary, *units]).writeto(path, overwrite=True)
    return path


def write_aspcap_star(
    path: Path, star: str, seed: int = 0, param: tuple[float, ...] = (4500.0, 2.0), snr: float = 100
) -> Path:
    """Write an aspcapStar file, whose flux is divided by its continuum."""
    flux = normalised_flux(seed)[0]
    error = np.full(len(flux), 1 / snr)
    outside = np.ones(len(flux), bool)
    for start, stop in DETECTORS:
        outside[start:stop] = False
    flux[outside] = error[outside] = 0
    values = np.full((1, 9), -9999.0, np.float32)
    values[0, : len(param)] = param
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("APOGEE_ID", "18A", array=[star]),
            fits.Column("PARAM", "9E", array=values),
            fits.Column("FPARAM", "9E", array=np.float32([[4400, 2.2] + [0] * 7])),
        ]
    )
    primary = fits.PrimaryHDU()
    primary.header.update({"OBJ": star, "SNR": snr, "VHELIO": 3.0})
    units = [fits.ImageHDU(image.astype(np.float32)) for image in (flux, error, flux)]
    for unit in units:
        unit.header.update({"CRVAL1": 4.179, "CDELT1": 6e-6, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR"})
    fits.HDUList([primary, *units, table]).writeto(path, overwrite=True)
    return path


def write_mwm_star(path: Path, star: str, seed: int = 0, visits: tuple[int, ...] = ()) -> Path:
    """Write an mwmStar file, or with the dates of visits an mwmVisit file, of one telescope."""
    n = max(1, len(visits))
    flux, error = observed(seed, 80.0, n)
    ivar = np.where(error < 1e9, error.astype(float) ** -2, 0)
    columns = [
        fits.Column("sdss_id", "K", array=[77] * n),
        fits.Column("obj", "18A", array=[star] * n),
        fits.Column("snr", "E", array=[80.0] * n),
        fits.Column("v_rad", "E", array=[5.0 + k for k in range(n)]),
        fits.Column("doppler_teff", "E", array=[4300.0 + seed] * n),
        fits.Column("doppler_logg", "E", array=[1.9] * n),
        fits.Column("flux", "8575E", array=flux),
        fits.Column("ivar", "8575E", array=ivar),
        fits.Column("pixel_flags", "8575J", array=np.zeros(flux.shape, np.int32)),
    ]
    if visits:
        columns.append(fits.Column("mjd", "J", array=visits))
    else:
        columns.append(fits.Column("wavelength", "8575D", array=WAVELENGTH[None]))
    apogee = fits.BinTableHDU.from_columns(columns, name="APOGEE/APO")
    apogee.header.update({"CRVAL": 4.179, "CDELT": 6e-6, "NPIXELS": 8575})
    boss = fits.BinTableHDU.from_columns([fits.Column("flux", "4648E")], name="BOSS/APO")
    primary = fits.PrimaryHDU()
    primary.header.update({"SDSS_ID": 77, "V_ASTRA": "0.6.0"})
    fits.HDUList([primary, boss, apogee]).writeto(path, overwrite=True)
    return path


def rows(n: int = 8, snr: float = 50.0) -> dict[str, list[object]]:
    """Return rows as the Multimodal Universe publishes them, to change and to write."""
    inside = np.concatenate([np.arange(start, stop) for start, stop in DETECTORS])
    spectra = []
    for seed in range(n):
        flux, error = observed(seed, snr)
        spectra.append(
            {
                "flux": flux[0, inside],
                "ivar": error[0, inside] ** -2.0,
                "lsf_sigma": np.full(len(inside), 0.3, np.float32),
                "lambda": WAVELENGTH[inside].astype(np.float32),
                "mask": np.zeros(len(inside), bool),
            }
        )
    return {
        "spectrum": spectra,
        "object_id": [f"star{seed}" for seed in range(n)],
        "ra": list(np.linspace(0, 300, n)),
        "teff": [4000.0 + 50 * seed for seed in range(n)],
        "teff_err": [60.0] * n,
        "logg": [1.0 + 0.2 * seed for seed in range(n)],
        "logg_err": [0.1] * n,
        "fe_h": [0.05 * seed for seed in range(n)],
        "mg_fe": [-9999.0] + [0.01] * (n - 1),
    }


def write_rows(path: Path, content: dict[str, list[object]]) -> Path:
    """Write rows as Parquet."""
    struct = pa.struct(
        [
            ("flux", pa.list_(pa.float32())),
            ("ivar", pa.list_(pa.float32())),
            ("lsf_sigma", pa.list_(pa.float32())),
            ("lambda", pa.list_(pa.float32())),
            ("mask", pa.list_(pa.bool_())),
        ]
    )
    columns = {
        name: pa.array(values, struct) if name == "spectrum" else pa.array(values)
        for name, values in content.items()
    }
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path
