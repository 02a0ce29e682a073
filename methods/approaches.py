"""The approach of each method: by what it separates composition and nuisance.

Methods that see the nuisance labels differ in how they use them. All others are told apart by what
else they may learn from, so a method of a third party has an approach too.
"""

ADVERSARY = "adversary"
PENALTY = "independence penalty"
CONDITIONAL = "conditional model"
REGRESSION = "regression"
OTHER_LABELS = "other use of the labels"
NO_LABELS = "no labels"
TWINS = "twins"
COMPOSITIONS = "compositions"

MEANINGS = {
    ADVERSARY: "a second network, trained against the first, looks for the nuisance in the latent",
    PENALTY: "a measure of dependence of latent and nuisance is part of the loss",
    CONDITIONAL: "spectra or latents are modelled given the nuisance",
    REGRESSION: "what the nuisance predicts of the spectrum is taken away",
    OTHER_LABELS: "the nuisance labels are used in another way",
    NO_LABELS: "learns from spectra alone",
    TWINS: "learns from stars that are known to be twins",
    COMPOSITIONS: "learns from known compositions",
}
"""What each approach does, in the order of the tables."""

_OF_LABELLED = {
    "club": PENALTY,
    "conditional-autoencoder": CONDITIONAL,
    "conditional-flow": CONDITIONAL,
    "conditional-vae": CONDITIONAL,
    "conditional-whitening": CONDITIONAL,
    "dann": ADVERSARY,
    "factordis": ADVERSARY,
    "fader": ADVERSARY,
    "gandalf": ADVERSARY,
    "hsic": PENALTY,
    "invariant-vib": PENALTY,
    "ivae": CONDITIONAL,
    "linear-erasure": REGRESSION,
    "mmd": PENALTY,
    "polynomial-residual": REGRESSION,
}
_OF_ACCESS = {
    "nuisance": OTHER_LABELS,
    "none": NO_LABELS,
    "pairs": TWINS,
    "oracle": COMPOSITIONS,
}


def approach(method: str, label_access: str) -> str:
    """Return the approach of a method.

    Parameters
    ----------
    method : str
        Its name.
    label_access : {"none", "nuisance", "pairs", "oracle"}

    Examples
    --------
    >>> approach("fader", "nuisance"), approach("my-method", "pairs")
    ('adversary', 'twins')
    """
    if label_access == "nuisance":
        return _OF_LABELLED.get(method, OTHER_LABELS)
    return _OF_ACCESS[label_access]
