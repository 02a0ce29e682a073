"""Latents that depend on other spectra than their own are refused."""

import numpy as np
import pytest

from starbench.evaluation.consistency import differing, require_own_latents
from starbench.evaluation.encoding import OutputError, encode_split
from starbench.evaluation.views import view_split
from starbench.methods.pca import PrincipalComponents


class Encoder:
    """Encodes spectra by a function of a batch."""

    name, label_access = "encoder", "nuisance"

    def __init__(self, function):
        self.function = function

    def encode(self, flux, nuisance):
        return self.function(flux[:, :5]).astype(np.float32)


def of_call(flux):
    """Give latents that depend on the number of calls before."""
    of_call.calls += 1
    return flux + of_call.calls


of_call.calls = 0


SMALL = np.array([1, 1, 1, 1, 1e-3], np.float32)  # the scales of dimensions


@pytest.mark.parametrize(
    ("function", "accepted"),
    [
        (lambda flux: flux, True),
        (lambda flux: flux * (1 + 1e-6 * len(flux)), True),  # as rounding may
        (lambda flux: np.full_like(flux, np.nan), True),  # ranks last
        (lambda flux: np.where(flux[:, :1] > 1, np.nan, flux), True),
        (lambda flux: np.ones_like(flux), True),
        (lambda flux: np.where(np.arange(len(flux))[:, None] % 3, flux, np.nan), False),
        (lambda flux: flux - flux.mean(axis=0), False),
        (lambda flux: flux / flux.std(axis=0), False),
        (lambda flux: flux + np.arange(len(flux), dtype=np.float32)[:, None], False),
        (lambda flux: np.sort(flux, axis=0), False),
        (lambda flux: SMALL * np.hstack([flux[:, :4], np.sort(flux[:, 4:], axis=0)]), False),
        (lambda flux: SMALL * (flux + 1e-6 * len(flux)), True),
        (lambda flux: np.where(SMALL < 1, 5 + 2e-8 * len(flux), flux), True),  # a constant
        (of_call, False),
    ],
)
def test_only_latents_of_their_own_spectrum_are_accepted(toy_task, function, accepted):
    view = view_split(toy_task, "train", "tiny", "nuisance", 0)
    method = Encoder(function)
    latent = encode_split(method, view)
    if accepted:
        require_own_latents(method, view, latent)
    else:
        with pytest.raises(OutputError, match="a latent must depend on its own spectrum alone"):
            require_own_latents(method, view, latent)


def test_authors_hear_of_their_method_and_users_of_their_data():
    rule = "a latent must depend on its own spectrum alone"
    of_others = str(differing(Encoder(of_call), "encode of encoder differs", rule))
    assert of_others == f"encode of encoder differs; {rule}."
    own = str(differing(PrincipalComponents(), "encode of pca differs", rule))
    assert own == (
        "encode of pca differs; the fit is unstable, as after too few training spectra; give more "
        "of them."
    )
