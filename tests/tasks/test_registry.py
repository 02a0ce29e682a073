import pytest

from starbench.tasks.errors import DataError
from starbench.tasks.registry import get_task, task_names


def test_every_name_gives_the_task_of_that_name(tmp_path):
    assert task_names() == ["apogee-giants", *(f"apogee-giants-snr{x}" for x in (100, 50, 30))]
    tasks = [get_task(name, cache=tmp_path) for name in task_names()]
    assert [task.name for task in tasks] == task_names()
    assert [task.snr for task in tasks] == [None, 100.0, 50.0, 30.0]
    assert all(
        task.sizes("full") == {"train": 25_000, "validation": 12_500, "test": 12_500}
        for task in tasks
    )
    assert get_task().name == "apogee-giants"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("apogee-giant", "apogee-giants"), ("apogee-giants-snr10", "apogee-giants-snr100")],
)
def test_an_unknown_name_gives_the_nearest(name, nearest):
    with pytest.raises(
        DataError, match=f"There is no task '{name}'; the nearest names are {nearest}"
    ):
        get_task(name)


def test_a_name_like_no_other_gives_all():
    with pytest.raises(DataError, match="apogee-giants, apogee-giants-snr100, apogee-giants-snr50"):
        get_task("xyz")


def test_own_data_take_the_place_of_a_task(pairs_file):
    path = pairs_file()
    assert get_task(data=path).sizes("own")["train"] == 6
    assert get_task("apogee-giants", data=path).name == "own-data-my-pairs"
    with pytest.raises(
        DataError, match=r"either --task apogee-giants-snr50 or --data .*, not both"
    ):
        get_task("apogee-giants-snr50", data=path)
