import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from starbench.tasks.streams import inverse, normals, permutation, uniforms

FIRST_VARIATES = [0.682466219189604, 0.039598669296153244, 0.7661032498257225]


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(1, 9),
    st.text(max_size=8),
)
@settings(deadline=None)
def test_any_part_of_a_stream_equals_that_part_of_the_whole(start, length, more, width, name):
    whole = uniforms(name, 0, start + length + more, width)
    part = uniforms(name, start, start + length, width)
    assert np.array_equal(part, whole[start : start + length])
    assert ((whole > 0) & (whole < 1)).all()


def test_streams_of_different_names_and_items_are_uncorrelated():
    drawn = np.stack(
        [uniforms(name, 0, 4000, 1)[:, 0] for name in ("a/1/train", "a/1/test", "a/2/train")]
    )
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.06  # 4 standard errors
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-4


def test_the_first_variates_never_change():
    assert uniforms("apogee-giants/1/train/labels", 0, 1, 3)[0] == pytest.approx(
        FIRST_VARIATES, abs=1e-15
    )


def test_the_orders_of_splits_never_change():
    order = permutation("starbench/order/0/train", 7)
    assert order.tolist() == [3, 6, 4, 0, 5, 1, 2]
    assert (inverse(order)[order] == np.arange(7)).all()
    assert np.array_equal(inverse(order), np.argsort(order))


def test_normals_are_normal_and_uncorrelated_between_items():
    drawn = np.stack([normals("noise", item, 4000) for item in range(4)])
    assert drawn.dtype == np.float32
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(drawn) - np.eye(4)).max() < 0.065
    assert np.array_equal(drawn[2, :17], normals("noise", 2, 17))
