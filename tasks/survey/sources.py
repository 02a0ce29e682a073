"""Which reader a file or folder needs."""

from collections.abc import Sequence
from pathlib import Path

from starbench.common.text import one_line
from starbench.tasks.errors import DataError
from starbench.tasks.survey.apogee import ApogeeFiles
from starbench.tasks.survey.choices import WavelengthScale
from starbench.tasks.survey.multimodal import SPECTRUM, MultimodalRows
from starbench.tasks.survey.own_files import OwnFile
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.spectra import Source
from starbench.tasks.survey.tables import FITS

_HDF5 = (".h5", ".hdf5")
_PARQUET = (".parquet",)


def open_sources(
    places: Sequence[Path],
    report: Report,
    *,
    spectra: str,
    wavelengths: WavelengthScale,
    cache: Path | None,
    progress: bool,
) -> list[Source]:
    """Return the readers of files and folders, by what the files are.

    Parameters
    ----------
    places : sequence of pathlib.Path
        Files, or folders that are searched for files at any depth, in the order of their names.
    report : Report
    spectra : str
        See `starbench.tasks.survey.apogee.ApogeeFiles`.
    wavelengths : WavelengthScale
    cache : pathlib.Path, optional
        Folder of the copies of Hugging Face data sets of pairs.
    progress : bool

    Raises
    ------
    DataError
        If there is nothing that can be imported.
    """
    fits: list[Path] = []
    parquet: list[Path] = []
    sources: list[Source] = []
    for place in places:
        if not place.exists():
            raise DataError(f"SOURCE {place} does not exist; give files or folders of spectra.")
        if place.is_dir() and _is_pairs(place):
            from starbench.tasks.own.hugging_face import open_table

            sources.append(OwnFile(open_table(place, cache, progress=progress).path, str(place)))
            continue
        files = _files(place)
        fits += [path for path in files if path.name.lower().endswith(FITS)]
        parquet += [path for path in files if path.suffix.lower() in _PARQUET]
        sources += [OwnFile(path) for path in files if path.suffix.lower() in _HDF5]
    if parquet:
        sources.append(MultimodalRows(parquet, report, wavelengths))
    if fits:
        sources.append(ApogeeFiles(fits, report, spectra))
    if not sources:
        raise DataError(
            f"SOURCE {places[0]} holds no spectra; give FITS files of APOGEE, Parquet files of the "
            "Multimodal Universe, or HDF5 files."
        )
    return sources


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file())
    name = place.name.lower()
    if not name.endswith((*FITS, *_PARQUET, *_HDF5)):
        raise DataError(
            f"SOURCE {place} is of an unknown kind; give a file .fits, .parquet or .h5, or a "
            "folder."
        )
    return [place]


def _is_pairs(folder: Path) -> bool:
    """Return whether a folder holds pairs in Parquet or of `datasets`, not spectra of stars."""
    if (folder / "dataset_dict.json").is_file():
        return True
    import pyarrow.parquet as pq

    for path in sorted(folder.rglob("*.parquet"))[:1]:
        try:
            with pq.ParquetFile(path) as file:
                names = file.schema_arrow.names
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read as Parquet ({one_line(error)[:150]}); download it again."
            ) from error
        return SPECTRUM not in names and "flux" in names
    return False
