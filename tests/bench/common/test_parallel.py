"""Work shared among threads."""

import pytest
import threadpoolctl
import torch

from starbench.common import parallel, threads


def test_results_come_in_order_and_no_more_than_one_a_thread_is_made_ahead():
    begun = []

    def make(item):
        begun.append(item)
        return 10 * item

    for item, result in enumerate(parallel.map_ahead(make, range(20), 2)):
        assert result == 10 * item
        assert max(begun) <= item + 2
    assert sorted(begun) == list(range(20))


def test_an_error_is_raised_when_it_is_its_turn():
    results = parallel.map_ahead(lambda item: 1 / (3 - item), range(9))
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("n", [0, 1, 9, 100])
def test_parts_cover_the_whole_range_once(monkeypatch, n):
    monkeypatch.setattr(threads, "_chosen", 3)
    seen = []
    parallel.in_parts(seen.extend, n, least=10)
    assert sorted(seen) == list(range(n))


def test_one_thread_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with parallel.one_thread():
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in blas()} == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def blas():
    return [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
