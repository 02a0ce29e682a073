"""The training loop: its batches, its learning rate, and its state."""

import pytest
import torch
from torch import nn

from starbench.common.checkpoint import CheckpointError, load, save
from starbench.methods.base import Silent
from starbench.methods.parts.training import LEAST_STEPS, Training, one_cycle, run_epochs


class Named:
    seed = 0


def collect(n_items, batch_size, epochs=1, training=None):
    batches = []

    def step(batch, share_done):
        batches.append((batch.tolist(), share_done))
        return {"loss": torch.tensor(1.0)}

    training = training or Training(nn.Identity(), {})
    run_epochs(
        Named(),
        training,
        Silent(),
        n_items=n_items,
        epochs=epochs,
        usual_epochs=30,
        batch_size=batch_size,
        step=step,
    )
    return batches


def test_an_epoch_visits_each_item_once_and_drops_the_incomplete_batch():
    batches = [batch for batch, _ in collect(10, 3)]
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert len({item for batch in batches for item in batch}) == 9


def test_a_batch_size_above_the_number_of_items_gives_one_full_batch():
    assert [len(batch) for batch, _ in collect(5, 100)] == [5]


def test_epochs_differ_and_a_continued_fit_takes_the_same_steps():
    uninterrupted = collect(20, 5, epochs=4)
    assert uninterrupted[:4] != uninterrupted[4:8]
    assert (
        collect(20, 5, epochs=4, training=Training(nn.Identity(), {}, epochs_done=2))
        == uninterrupted[8:]
    )


def test_a_small_training_set_takes_more_epochs_unless_their_number_is_set():
    large = -(-LEAST_STEPS // 30)  # batches of an epoch of which 30 are enough
    assert len(collect(20, 5, epochs=0)) == LEAST_STEPS
    assert len(collect(large, 1, epochs=0)) == 30 * large
    assert len(collect(2 * large, 1, epochs=0)) == 60 * large
    assert len(collect(20, 5, epochs=2)) == 8


def test_any_seed_of_the_command_line_gives_an_order(monkeypatch):
    orders = []
    for seed in (0, 18_000_000_000_000, 2**63 - 2, 2**63 - 1):
        monkeypatch.setattr(Named, "seed", seed)
        orders.append(collect(20, 20, epochs=2)[1][0])
    assert len({tuple(order) for order in orders}) == 4
    monkeypatch.undo()
    generator = torch.Generator().manual_seed(3 * 1_000_003 + 1)  # as it always was
    monkeypatch.setattr(Named, "seed", 3)
    expected = torch.randperm(20, generator=generator).tolist()
    assert collect(20, 20, epochs=2)[1][0] == expected


def test_one_cycle_rises_to_one_and_falls_to_nearly_nothing():
    values = [one_cycle(i / 1000) for i in range(1001)]
    peak = values.index(max(values))
    assert values[peak] == 1 and peak == 250
    assert values[:peak] == sorted(values[:peak])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert values[-1] < 1e-3 < values[0] < 0.1


def test_optimiser_moments_survive_a_checkpoint(tmp_path):
    def new():
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        optimiser = torch.optim.Adam(network.parameters(), 0.1, fused=True)
        return Training(network, {"n": optimiser})

    def step(training):
        training.optimisers["n"].zero_grad()
        training.model(torch.ones(1, 3)).square().sum().backward()
        training.optimisers["n"].step()

    uninterrupted = new()
    step(uninterrupted)
    save(tmp_path / "state.safetensors", uninterrupted.state(), {"epoch": 1})
    tensors, metadata = load(tmp_path / "state.safetensors")
    assert metadata == {"epoch": 1}
    resumed = new()
    resumed.load_state(tensors)
    step(uninterrupted)
    step(resumed)
    assert torch.equal(uninterrupted.model.weight, resumed.model.weight)


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "state.safetensors"
    save(path, {"a": torch.ones(100)}, {})
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match=r"state\.safetensors"):
        load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]
