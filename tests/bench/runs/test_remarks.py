import pytest

from starbench.runs.remarks import remark


def epoch(value, chance=4.605):
    return {"epoch": 30, "adversary_cross_entropy": value, "chance_cross_entropy": chance}


@pytest.mark.parametrize("quiet", [{}, {"epoch": 3}, epoch(4.605), epoch(4.6), epoch(4.2)])
def test_nothing_to_remark(quiet):
    assert remark(quiet) is None


def test_an_adversary_above_chance_is_fooled():
    assert remark(epoch(4.64)) == (
        "the adversary's cross-entropy ends at 4.640, chance is 4.605: it is fooled, and says "
        "nothing of what the latent leaks"
    )


def test_an_adversary_far_below_chance_still_reads_the_nuisance():
    assert remark(epoch(3.0)).endswith("it still reads the nuisance from the latent")
