import numpy as np
import pytest
import torch

from starbench.common.checkpoint import CheckpointError, load, save, state_fault, state_sha256

TENSORS = {"weights": torch.arange(64.0), "steps": torch.tensor(3), "none": torch.zeros(0, 2)}


def test_tensors_and_metadata_come_back(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save(path, TENSORS, {"epoch": 3})
    tensors, metadata = load(path)
    assert metadata == {"epoch": 3}
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        (None, "must return a dict of names to torch tensors, not NoneType"),
        ([torch.zeros(1)], "must return a dict of names to torch tensors, not list"),
        ({0: torch.zeros(1)}, "its entry 0 is of type torch.Tensor"),
        ({"epoch": 3}, "its entry 'epoch' is of type int"),
        ({"mean": np.zeros(3)}, "its entry 'mean' is of type numpy.ndarray; give torch.from_numpy"),
    ],
)
def test_a_state_that_cannot_be_saved_is_described(state, fault):
    assert fault in state_fault(state)
    assert state_fault(TENSORS) == ""


def test_the_digest_of_tensors_never_changes():
    digest = "a9a64a4a2712a76207674c3921346ebad8115bbe5b2d223b0cb26ff79f3494a9"
    assert state_sha256(TENSORS) == digest
    strided = torch.arange(128.0).reshape(64, 2)[:, 0] / 2
    assert state_sha256({**TENSORS, "weights": strided}) == digest


def test_every_changed_byte_of_the_tensors_is_noticed(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save(path, TENSORS, {"epoch": 3})
    content = path.read_bytes()
    for place in range(len(content) - 4 * 64 - 8, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError, match="does not match its checksum"):
            load(path)


def test_changed_metadata_are_noticed(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save(path, TENSORS, {"epoch": 3})
    content = path.read_bytes()
    changed = content.replace(b"epoch", b"epoxh")
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        load(path)
