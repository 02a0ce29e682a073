"""Both forms of a kernel compute the same, so that their times can be compared."""

import torch

from benchmarks import kernels


def test_components_agree():
    ours, theirs = (form(20)() for form in kernels.FORMS["components"].values())
    assert len(ours) == 19  # as many as differences from the mean
    assert torch.allclose(ours, theirs[:19], rtol=1e-4)


def test_slopes_agree():
    ours, theirs = (form(20)()[0] for form in kernels.FORMS["slopes"].values())
    assert torch.allclose(ours[0], theirs[0], atol=1e-6)
    assert torch.allclose(ours[1].mT, theirs[1], atol=1e-6)


def test_noise_is_drawn_for_every_spectrum():
    (draw,) = kernels.FORMS["noise"].values()
    assert draw(20)().shape == (10, 2, 7214)
