"""The figures of the README show the committed rows."""

import matplotlib
import pytest

from docs.figures import draw


@pytest.fixture(scope="module")
def rows():
    return draw.committed_rows()


@pytest.mark.parametrize("name", ["share", "swap"])
def test_committed_figures_are_of_the_committed_rows(rows, name):
    text = (draw.HERE / f"{name}.svg").read_text("utf-8")
    assert draw.description(rows) in text, "run `python docs/figures/draw.py`"


def test_drawing_the_same_rows_gives_the_same_bytes(rows, tmp_path):
    with matplotlib.rc_context(draw.STYLE):
        for name in ("a", "b"):
            draw.draw_shares(rows).savefig(tmp_path / f"{name}.svg", metadata={"Date": None})
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_only_the_newest_version_with_default_settings_is_drawn(rows):
    fader = draw.newest(rows, "fader", "apogee-giants-snr50")
    older = [row.model_copy(update={"method_version": 0}) for row in fader]
    changed = [row.model_copy(update={"overrides": {"latent": 3}}) for row in fader]
    assert draw.newest(older + changed + fader, "fader", "apogee-giants-snr50") == fader
