"""The critic of FactorDis disentangles."""

from support.small_settings import fit_small, swap_ratio

from starbench.methods.factordis import FactorDis


def test_the_critic_disentangles():
    without, with_critic = (
        swap_ratio(fit_small(FactorDis, n_pairs=1000, epochs=12, critic_weight=weight))
        for weight in (0.0, 0.3)
    )
    assert 1.5 * with_critic < without
