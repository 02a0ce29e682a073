"""Both forms of a kernel compute the same, so that their times can be compared."""

import torch

from benchmarks import kernels


def test_moments_agree():
    ours, theirs = (form(20)() for form in kernels.FORMS["moments"].values())
    assert torch.allclose(20 * ours[1], theirs, rtol=1e-6)


def test_slopes_agree():
    ours, theirs = (form(20)()[0] for form in kernels.FORMS["slopes"].values())
    assert torch.allclose(ours[0], theirs[0], atol=1e-6)
    assert torch.allclose(ours[1].mT, theirs[1], atol=1e-6)


def test_noise_is_drawn_for_every_spectrum():
    (draw,) = kernels.FORMS["noise"].values()
    assert draw(20)().shape == (10, 2, 7214)
