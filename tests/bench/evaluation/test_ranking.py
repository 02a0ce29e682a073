import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import starbench as sb
from starbench.common import checkpoint
from starbench.evaluation import ranking as module
from starbench.evaluation.ranking import rank_resumably
from starbench.metrics import Ranking, twin_ranks


@pytest.fixture
def latent():
    # Eight bands and many ties.
    return np.random.default_rng(0).integers(0, 3, (2000, 2, 4)).astype(np.float32)


def assert_equal(ranks, expected):
    np.testing.assert_array_equal(ranks.rank, expected.rank)
    np.testing.assert_array_equal(ranks.tied, expected.tied)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_ranking_in_steps_gives_the_same_ranks(latent, n_threads):
    ranking, steps, distances = Ranking(latent, n_threads=n_threads), 0, []
    with pytest.raises(RuntimeError, match="8 bands are not counted"):
        ranking.ranks()
    while not ranking.finished:
        ranking.advance(0, distances.append)
        steps += 1
    assert steps == 8
    assert sum(distances) == ranking.costs.sum() >= 4000**2 / 2
    assert_equal(ranking.ranks(), twin_ranks(latent))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_interrupted_ranking_continues_from_its_checkpoint(latent, tmp_path, n_threads):
    # A shell that starts the tests in the background has SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    path, ranking = tmp_path / "ranking.safetensors", Ranking(latent, n_threads=n_threads)
    count = ranking._bands.count

    def interrupted(band, counts):
        if band == 3:
            os.kill(os.getpid(), signal.SIGINT)
        count(band, counts)

    ranking._bands.count = interrupted
    with pytest.raises(KeyboardInterrupt):
        rank_resumably(ranking, path, quiet=True)
    assert 4 <= ranking.n_done <= 8

    continued, bands = Ranking(latent), []
    count_on = continued._bands.count
    continued._bands.count = lambda band, counts: (bands.append(band), count_on(band, counts))
    assert_equal(rank_resumably(continued, path, quiet=True), twin_ranks(latent))
    assert bands == [*range(ranking.n_done, 8)]


def test_an_interrupt_before_a_started_thread_is_known_loses_no_count(latent, monkeypatch):
    class Interrupted(ThreadPoolExecutor):
        def submit(self, work):
            threading.Thread(target=work).start()
            began.wait()
            raise KeyboardInterrupt

    began, ranking = threading.Event(), Ranking(latent, n_threads=1)
    count = ranking._bands.count

    def slow(band, counts):
        began.set()
        time.sleep(0.02)
        count(band, counts)

    ranking._bands.count = slow
    with monkeypatch.context() as patched:
        patched.setattr("starbench.metrics.ranking.ThreadPoolExecutor", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            ranking.advance()
    assert 1 <= ranking.n_done < 8
    assert_equal(rank_resumably(ranking, None, quiet=True), twin_ranks(latent))


def test_a_failure_leaves_the_counts_as_they_were(latent):
    ranking = Ranking(latent, n_threads=2)
    count = ranking._bands.count

    def failing(band, counts):
        if band == 3:
            raise MemoryError
        count(band, counts)

    ranking._bands.count = failing
    with pytest.raises(MemoryError):
        ranking.advance()
    assert ranking.n_done == 0 and not ranking.counts.any()


def test_long_rankings_are_stored_now_and_then(latent, tmp_path, monkeypatch):
    path = tmp_path / "ranking.safetensors"
    rank_resumably(Ranking(latent), path, quiet=True)
    assert not path.exists()  # too short
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    rank_resumably(Ranking(latent), path, quiet=True)
    restored = Ranking(latent)
    module._restore(restored, path)
    assert restored.finished
    assert_equal(restored.ranks(), twin_ranks(latent))


def test_a_checkpoint_of_other_latents_or_a_damaged_one_is_not_continued(
    latent, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    path = tmp_path / "ranking.safetensors"
    rank_resumably(Ranking(latent), path, quiet=True)
    other = latent[::-1].copy()
    assert_equal(rank_resumably(Ranking(other), path, quiet=True), twin_ranks(other))
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    assert_equal(rank_resumably(Ranking(other), path, quiet=True), twin_ranks(other))
    assert "the ranking starts again" in capsys.readouterr().err


def test_the_python_interface_removes_the_checkpoint(latent, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    ranks = sb.twin_ranks(latent, checkpoint=tmp_path / "ranking.safetensors", quiet=True)
    assert_equal(ranks, twin_ranks(latent))
    assert not [*tmp_path.iterdir()]


def test_the_python_interface_continues_or_replaces_checkpoints_of_rankings(latent, tmp_path):
    path, expected = tmp_path / "ranking.safetensors", twin_ranks(latent)
    for stored in (latent, latent[::-1].copy()):
        ranking = Ranking(stored, n_threads=1)
        ranking.advance(0)
        module._save(ranking, path)
        assert_equal(sb.twin_ranks(latent, checkpoint=path, quiet=True), expected)
        assert not path.exists()


@pytest.mark.parametrize("kind", ["text", "empty", "state", "damaged", "folder", "link"])
def test_a_file_that_is_no_checkpoint_of_a_ranking_is_kept(latent, tmp_path, kind):
    path = tmp_path / "given"
    if kind == "text":
        path.write_text("notes")
    elif kind == "empty":
        path.touch()
    elif kind == "state":  # as the best.safetensors of a run
        checkpoint.save(path, {"counts": torch.zeros(2)}, {"epoch": 3})
    elif kind == "damaged":
        module._save(Ranking(latent), path)
        path.write_bytes(path.read_bytes()[:-1] + b"1")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "nowhere")
    before = path.read_bytes() if path.is_file() else None
    group = np.arange(len(latent) * 2) // 2
    for call in (
        lambda: sb.twin_ranks(latent[:9], checkpoint=path, quiet=True),
        lambda: sb.sibling_ranks(latent.reshape(-1, 4), group, checkpoint=path, quiet=True),
    ):
        with pytest.raises(ValueError, match=r"^\S.*given is not .*; give a file that does not"):
            call()
    assert [*tmp_path.iterdir()] == [path]
    assert before is None or path.read_bytes() == before


def test_the_state_of_a_method_in_place_of_a_checkpoint_is_not_continued(latent, tmp_path):
    path = tmp_path / "ranking.safetensors"
    checkpoint.save(path, {"counts": torch.zeros(2)}, {"epoch": 3})
    assert_equal(rank_resumably(Ranking(latent), path, quiet=True), twin_ranks(latent))
