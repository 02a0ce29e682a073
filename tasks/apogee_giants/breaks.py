"""What each track of another population or survey than ``apogee-giants`` breaks, for its page."""

BREAKS = {
    "apogee-giants-dense": (
        "Stars crowd: at fixed [Fe/H] and [alpha/Fe] each element scatters a quarter as much as in "
        "apogee-giants, nearer to the intrinsic scatter of the disc. The most similar stranger is "
        "then several times as close in composition. Errors of a latent that did no harm on "
        "apogee-giants now put a stranger before the twin."
    ),
    "apogee-giants-dense-snr200": (
        "Stars crowd as in apogee-giants-dense, and each pixel has noise of 1/200 of the "
        "continuum. Even at this high signal to noise, the noise moves a star about as far as its "
        "neighbours are away. A method has to combine all lines of an element, weighted by their "
        "signal to noise."
    ),
    "apogee-giants-branch": (
        "Teff follows log g and [Fe/H] within 60 K, as on a giant branch, so that nuisance and "
        "composition depend on each other. A method that makes its latent independent of Teff and "
        "log g, as adversaries and measures of dependence do, removes part of the metallicity with "
        "them. What has to be removed is the effect of Teff and log g on the spectrum, at given "
        "composition."
    ),
    "apogee-giants-labels": (
        "The Teff and log g that methods are told have errors, as a catalogue's have: 80 K and "
        "0.12 dex, correlated, and a bias with [Fe/H]. What the true Teff does beyond the stated "
        "one stays in the spectrum, where a method that trusts its labels takes it for chemistry. "
        "Methods are told the covariance of the random errors, but not the bias."
    ),
    "apogee-giants-hidden": (
        "Each spectrum has its own resolving power, macroturbulence, residual velocity and error "
        "of the continuum, and no label tells them. They change a spectrum as much as the "
        "abundances of a star do, so that a method that removes only Teff and log g keeps them in "
        "its latent. Only pairs show that they are not chemistry."
    ),
    "apogee-giants-metallicity": (
        "[Fe/H] is a third nuisance: twins share only the sixteen [X/Fe]. The common strength of "
        "all metal lines, the largest signal in the spectra, has to be removed like Teff, while "
        "the ratios of elements are kept. The ratios tell on which sequence of the disc a star "
        "lies, and so something of its [Fe/H]: not even a perfect latent is independent of it."
    ),
    "apogee-giants-mismatch": (
        "The survey's spectra come from another synthesis code, model atmospheres and line data "
        "than the pairs and compositions that methods may train on, as nobody has those for real "
        "stars. A method that learns from the model's pairs or labels meets lines that its model "
        "lacks or has wrong. Methods that need neither train on the survey itself, and the "
        "difference is the price of a wrong model."
    ),
    "apogee-giants-survey": (
        "Each spectrum has its own signal to noise, errors, masked pixels and line width, and is "
        "divided by a pseudo-continuum that its lines and noise pull; stray light of earlier "
        "exposures fills the lines of some. Teff follows log g and [Fe/H], its labels have errors, "
        "no star to train on has a known sibling, and the members of a cluster are sought in a "
        "field of 8,000 stars. A method that weights all pixels alike, or trusts labels or "
        "continuum, takes the marks of the exposure for chemistry."
    ),
}
"""By the name of the track, in some three sentences."""
