"""Which reader a file or folder needs."""

from collections import Counter
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
from starbench.tasks.survey.tables import FITS, open_parquet

_HDF5 = (".h5", ".hdf5")
_PARQUET = (".parquet",)
_LABEL = 40  # characters of a file's name that become part of other names


def open_sources(
    places: Sequence[Path],
    report: Report,
    *,
    spectra: str,
    wavelengths: WavelengthScale,
    besides: Path,
    cache: Path | None,
    progress: bool,
) -> list[Source]:
    """Return the readers of files and folders, by what the files are.

    Parameters
    ----------
    places : sequence of pathlib.Path
        Files, or folders that are searched for files at any depth, in the order of their names.
        What is given more than once, also through links, is read once.
    report : Report
        Gets a note of it.
    spectra : str
        See `starbench.tasks.survey.apogee.ApogeeFiles`.
    wavelengths : WavelengthScale
    besides : pathlib.Path
        A file that is none of the sources, though it may lie among them: that of an earlier import.
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
    own: list[OwnFile] = []
    seen: set[Path] = set()
    written = besides.resolve()
    repeated: list[Path] = []

    def is_new(path: Path) -> bool:
        real = path.resolve()
        if real in seen:
            repeated.append(path)
            return False
        seen.add(real)
        return True

    for place in places:
        if not place.exists():
            raise DataError(f"SOURCE {place} does not exist; give files or folders of spectra.")
        if place.is_dir() and _is_pairs(place):
            from starbench.tasks.own.hugging_face import open_table

            if is_new(place):
                own.append(OwnFile(open_table(place, cache, progress=progress).path, str(place)))
            continue
        files = [path for path in _files(place) if path.resolve() != written and is_new(path)]
        fits += [path for path in files if path.name.lower().endswith(FITS)]
        parquet += [path for path in files if path.suffix.lower() in _PARQUET]
        own += [OwnFile(path) for path in files if path.suffix.lower() in _HDF5]
    if repeated:
        report.note(
            f"{len(repeated)} files were given more than once, first {repeated[0].name}; each is "
            "imported once."
        )
    for source in own:
        if source.has_pairs:
            report.note(
                f"The pairs of {source.name} to train on are left out; --pairs-of takes those of a "
                "task."
            )
    if len(own) + bool(parquet) + bool(fits) > 1:
        _label(own)
    sources: list[Source] = [*own]
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


def _label(own: Sequence[OwnFile]) -> None:
    """Give each file a label, so that its groups and unnamed stars are not those of another."""
    names = [Path(source.name).stem[:_LABEL] for source in own]
    counts = Counter(names)
    for number, (source, name) in enumerate(zip(own, names, strict=True), 1):
        source.label = name if counts[name] == 1 else f"{name} ({number})"


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file())
    name = place.name.lower()
    if not name.endswith((*FITS, *_PARQUET, *_HDF5)):
        raise DataError(
            f"SOURCE {place} is of an unknown kind; give a file .fits, .parquet or .h5, or a "
            "folder."
        )
    if not place.is_file():  # a pipe would be waited for
        raise DataError(f"SOURCE {place} is not a file; give files or folders of spectra.")
    return [place]


def is_among(path: Path, places: Sequence[Path]) -> bool:
    """Return whether a file is one of some places, or of the files of spectra in a folder."""
    real = path.resolve()
    is_kind = real.name.lower().endswith((*FITS, *_PARQUET, *_HDF5))
    return any(
        real == place or (is_kind and real.is_relative_to(place))
        for place in map(Path.resolve, places)
    )


def _is_pairs(folder: Path) -> bool:
    """Return whether a folder holds pairs in Parquet or of `datasets`, not spectra of stars."""
    if (folder / "dataset_dict.json").is_file():
        return True
    path = next((each for each in _files(folder) if each.name.endswith(".parquet")), None)
    if path is None:
        return False
    try:
        with open_parquet(path) as file:
            names = file.schema_arrow.names
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as Parquet ({one_line(error)[:150]}); download it again."
        ) from error
    return SPECTRUM not in names and "flux" in names
