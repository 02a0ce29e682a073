"""Monomials by hand."""

import numpy as np

from starbench.methods.parts.polynomial import monomials


def test_monomials_of_a_hand_worked_case():
    assert monomials(np.array([[2.0, 3.0]]), 2).tolist() == [[1, 2, 3, 4, 6, 9]]
    assert monomials(np.array([[2.0]]), 3).tolist() == [[1, 2, 4, 8]]
