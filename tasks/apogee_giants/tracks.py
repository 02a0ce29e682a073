"""The tracks of ``apogee-giants``: a population, then the effects of instrument and catalogue."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from starbench.tasks.apogee_giants import variants
from starbench.tasks.apogee_giants.mismatch import ModelPairs
from starbench.tasks.apogee_giants.survey_stars import SurveyStars
from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.apogee_giants.track_manifest import StandardTrack
from starbench.tasks.apogee_giants.variants import GiantsVariant
from starbench.tasks.base import PAIRS, Task
from starbench.tasks.observation.catalogue import CatalogueLabels, LabelErrors
from starbench.tasks.observation.hidden import HiddenInstrument
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.observation.surveyed import SurveyedSpectra

SNRS = (100, 50, 30)
ASSUMPTIONS_SNR = 100  # of the tracks that break an assumption
DENSE_SNR = 200

# This project's choice, of the size by which catalogues of giants differ from each other.
LABEL_ERRORS = LabelErrors(deviation=(80.0, 0.12), correlation=0.5, trend=(-40.0, -0.05))

MISMATCH_CHANGELOG = {
    1: "the first version",
    2: "[alpha/Fe] of the second generator's atmospheres is the mean of Mg, Si and Ca by number",
}


def noise_track(snr: int, cache: Path | None = None) -> NoiseTrack:
    """Return ``apogee-giants`` with noise, checked against the manifest.

    Parameters
    ----------
    snr : int
        One of `SNRS`.
    cache : pathlib.Path, optional
        Folder for the data without noise.
    """
    base = ApogeeGiants(cache)
    return NoiseTrack(base, snr, check=base.check_noise)


snr100, snr50, snr30 = (partial(noise_track, snr) for snr in SNRS)


def mismatch(cache: Path | None = None) -> Task:
    """Return the track whose survey another generator made than the pairs to train on."""
    stars_of = partial(
        GiantsVariant,
        variants.IDEAL_POPULATION,
        "apogee-giants-mismatch",
        family="reality",
        changelog=MISMATCH_CHANGELOG,
        cache=cache,
    )
    model, survey = stars_of(), stars_of(weights=variants.SECOND_EMULATOR)
    stars = ModelPairs(
        survey,
        model,
        model.card.then("takes the survey from another generator than the pairs to train on"),
    )
    return StandardTrack(with_noise(stars, ASSUMPTIONS_SNR))


def survey(cache: Path | None = None) -> Task:
    """Return the track of a survey as astronomers have it: errors, masks, siblings, field stars."""
    name = "apogee-giants-survey"
    stars = HiddenInstrument(SurveyStars(name, variants.SECOND_EMULATOR, cache=cache))
    pairs = HiddenInstrument(SurveyStars(name, cache=cache))
    observed = CatalogueLabels(SurveyedSpectra(stars), LABEL_ERRORS)
    model = CatalogueLabels(
        SurveyedSpectra(pairs, persistence=False), replace(LABEL_ERRORS, trend=(0.0, 0.0))
    )
    effect = "takes the pairs to train on from another generator than the survey"
    return StandardTrack(ModelPairs(observed, model, observed.card.then(effect), split=PAIRS))


def with_noise(base: Task, snr: float) -> NoiseTrack:
    """Return a task with noise under its own name, for tracks that change more than the noise."""
    effect = f"adds Gaussian noise of SNR {snr:g} per pixel"
    return NoiseTrack(base, snr, card=base.card.then(effect, snr=float(snr)))


def _dense(name: str, cache: Path | None) -> GiantsVariant:
    return GiantsVariant(
        variants.DENSE,
        name,
        family="crowding",
        changes="scatters each element a quarter as much at fixed [Fe/H] and [alpha/Fe]",
        cache=cache,
    )


def dense(cache: Path | None = None) -> Task:
    """Return the track of crowded compositions, without noise."""
    return StandardTrack(_dense("apogee-giants-dense", cache))


def dense_snr200(cache: Path | None = None) -> Task:
    """Return the track of crowded compositions at SNR 200."""
    return StandardTrack(with_noise(_dense("apogee-giants-dense-snr200", cache), DENSE_SNR))


def branch(cache: Path | None = None) -> Task:
    """Return the track whose Teff depends on log g and [Fe/H]."""
    stars = GiantsVariant(
        variants.BRANCH,
        "apogee-giants-branch",
        family="assumptions",
        changes="makes Teff follow log g and [Fe/H] within 60 K, as on a giant branch",
        cache=cache,
    )
    return StandardTrack(with_noise(stars, ASSUMPTIONS_SNR))


def _ideal(name: str, cache: Path | None) -> GiantsVariant:
    return GiantsVariant(variants.IDEAL_POPULATION, name, family="assumptions", cache=cache)


def labels(cache: Path | None = None) -> Task:
    """Return the track whose nuisance labels have errors."""
    stars = _ideal("apogee-giants-labels", cache)
    return StandardTrack(CatalogueLabels(with_noise(stars, ASSUMPTIONS_SNR), LABEL_ERRORS))


def hidden(cache: Path | None = None) -> Task:
    """Return the track whose line widths, velocities and continua no label tells."""
    stars = _ideal("apogee-giants-hidden", cache)
    return StandardTrack(with_noise(HiddenInstrument(stars), ASSUMPTIONS_SNR))


def metallicity(cache: Path | None = None) -> Task:
    """Return the track whose twins differ in [Fe/H] too."""
    stars = GiantsVariant(
        variants.METALLICITY,
        "apogee-giants-metallicity",
        family="assumptions",
        changes="makes [Fe/H] a third nuisance: twins share only the [X/Fe]",
        cache=cache,
    )
    return StandardTrack(with_noise(stars, ASSUMPTIONS_SNR))
