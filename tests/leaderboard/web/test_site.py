"""The site: reproducible to the byte, text from rows displayed literally, pages small."""

import html
import json
import lzma
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from markupsafe import escape
from support.rows import FakeTask, diverged, draw_ranks

from starbench.cli.main import main
from starbench.leaderboard.store import board
from starbench.leaderboard.web.build import build_site
from starbench.leaderboard.web.heat import LEVELS, style_sheet
from starbench.leaderboard.web.model import summarise
from starbench.leaderboard.web.numbers import by_shift, over_plane, recovery_curve
from starbench.leaderboard.web.pictures import read_picture
from starbench.leaderboard.web.track_figures import casts
from starbench.results.schema import parse_row
from starbench.results.text import RowError
from starbench.tasks import registry
from starbench.tasks.errors import DataError
from starbench.tasks.suites import get_suite

pytestmark = pytest.mark.usefixtures("reproduced_rows")

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)> $x$ {{ 7*7 }}"
MSE = {"reconstruction_mse": 1e-6, "swapped_reconstruction_mse": 2e-6}
PROBES = {
    "nuisance_leakage.mlp.Teff": 0.2,
    "composition_recovery.mlp.Fe/H": 0.9,
    "composition_recovery.mlp.C/Fe": 0.5,
}
TASK = FakeTask(elements=("Fe/H", "C/Fe"))


def tags(text):
    """Return the elements of a page, each with its attributes."""
    elements = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: elements.append((tag, dict(attributes)))
    parser.feed(text)
    return elements


@pytest.fixture
def get_task():
    class Task(FakeTask):
        nuisance_names = ("Teff", "logg")

        def drawn_labels(self, split, scale):
            draws = np.random.default_rng(0).random((self.sizes(scale)[split], 2, 2))
            return np.array([4000, 1.5]) + draws * np.array([1000, 1.5]), None

    return lambda name: Task(name)


@pytest.fixture
def rows(add, make_run):
    """Add methods of all kinds: several seeds, one seed, no decoder, diverged, hostile."""
    add(
        make_run(
            seed=0, nearest=0.9, figures=MSE | PROBES,
            load={"runs_at_once": 2, "kernel_seconds": 0.1, "kernel_version": 1},
        ),
        make_run(seed=1, nearest=0.8, figures=MSE | PROBES),
        make_run(seed=0, nearest=0.7, task="apogee-giants-snr50", figures=MSE | PROBES),
        make_run(method="no-decoder", nearest=0.4, figures=PROBES),
        make_run(method="all-diverged", change=diverged),
        make_run(method="information-bound", control=True, label_access="oracle", nearest=1.0),
        make_run(
            method="hostile", nearest=0.1, reference=SCRIPT, message=SCRIPT,
            hyperparameters={"<b>": SCRIPT}, overrides={"<b>": SCRIPT}, figures=MSE,
        ),
        task=TASK,
    )  # fmt: skip


def build(directory, out, get_task):
    return build_site(board.load(directory), out, get_task=get_task)


def test_the_site_of_all_kinds_of_rows(rows, directory, get_task, tmp_path):
    out = tmp_path / "site"
    sizes = build(directory, out, get_task)
    pages = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.html")}
    methods = ("fader", "no-decoder", "all-diverged", "information-bound", "hostile")
    assert set(pages) == {
        "index.html", "results.html", *(f"methods/{m}.html" for m in methods),
        *(f"tracks/{task}.html" for task in registry.BUILT_IN),
    }  # fmt: skip

    check_links(out)

    # Everything is local, nothing is inline, and untrusted text is only text.
    for text in pages.values():
        assert "http://" not in text and "https://" not in text
        assert "default-src 'none'" in html.unescape(text)
        for tag, attributes in tags(text):
            assert not any(name == "style" or name.startswith("on") for name in attributes)
            assert tag != "b" and (tag != "script" or "src" in attributes)
        for image in re.findall(r"<img [^>]*>", text):
            assert re.search(r'alt="[^"]{20,}"', image)
    assert pages["methods/hostile.html"].count(str(escape(SCRIPT))) >= 3
    for path in (out / "figures").iterdir():
        check_image(path.read_text())

    # Figures and files.
    drawn = {path.stem for path in (out / "figures").iterdir()}
    kinds = ("picture", "nearest", "recovery-1", "leakage", "swapped", "shift-1", "plane")
    assert {f"apogee-giants-{kind}" for kind in kinds} | {"snr-1", "fader-profile"} <= drawn
    assert "all-diverged-profile" not in drawn
    assert "1 diverged" in pages["methods/all-diverged.html"]
    assert "loss | is NaN" in pages["methods/all-diverged.html"]
    assert "starbench run --method fader" in pages["methods/fader.html"]
    assert "3,600 kernels, 2 runs at once" in pages["methods/fader.html"]
    heaviest = max(sum(size for name, size in sizes.items() if name.startswith(kind))
                   for kind in ("figures/", "static/"))  # fmt: skip
    assert heaviest + max(map(len, pages.values())) < 5_000_000
    check_first_page(pages["index.html"])
    check_track(pages["tracks/apogee-giants-snr50.html"])
    lines = [json.loads(line) for line in lzma.decompress((out / "rows.jsonl.xz").read_bytes())
             .splitlines()]  # fmt: skip
    assert [line.pop("file") for line in lines] == sorted(
        entry.path.name for entry in board.load(directory)
    )
    assert all(parse_row(json.dumps(line)) for line in lines)


def check_links(out):
    """Every link is to a file of the site, and to a place on it; no place has two names."""
    pages = {path: path.read_text() for path in out.rglob("*.html")}
    for page, text in pages.items():
        identifiers = [attributes["id"] for _, attributes in tags(text) if "id" in attributes]
        assert len(set(identifiers)) == len(identifiers), page
        for link, _, place in re.findall(r'(?:href|src)="([^"#]*)(#?)([^"]*)"', text):
            path = (page.parent / link).resolve() if link else page
            assert path.is_file(), (page, link)
            if place and "=" not in place:
                assert f' id="{place}"' in pages[path], (page, link, place)


def check_image(text):
    """It is drawing and text, nothing that acts or fetches."""
    for element in ElementTree.fromstring(text).iter():
        tag = element.tag.rpartition("}")[2]
        assert tag not in ("script", "foreignObject", "a", "b", "img")
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert not name.endswith("href") or value.startswith(("#", "data:image/png"))


def check_first_page(page):
    """It opens with the verdict and the suite, and says what is missing."""
    heat = page[page.index('<table class="heatmap') : page.index("</table>")]
    assert ">ideal</th>" in heat and ">noise</th>" in heat
    assert "information bound" in heat
    assert f"2 of {len(get_suite().tracks)} tracks" in heat and "no rows" in heat
    assert re.search(r'<td class="heat h\d+">\d', heat)
    assert "No method has a rank over the suite yet" in page
    assert page.index('id="verdict"') < page.index('id="suite"') < page.index('id="tracks"')


def check_track(page):
    """It says what it breaks, with a picture."""
    card = registry.get_task("apogee-giants-snr50").card
    assert str(escape(card.breaks)) in page and card.breaks.count(". ") >= 2
    assert "apogee-giants-snr50-picture.svg" in page
    assert "Test pair 0" in page


def test_the_first_page_says_which_approaches_survive(add, make_run, directory, get_task, tmp_path):
    bound = {"method": "information-bound", "control": True, "label_access": "oracle"}
    for name, nearest in (("snr100", 0.9), ("branch", 0.2)):
        task = f"apogee-giants-{name}"
        add(*(make_run(task=task, seed=seed, nearest=nearest) for seed in range(3)))
        add(make_run(task=task, nearest=1.0, **bound))
    build(directory, tmp_path / "site", get_task)
    page = (tmp_path / "site" / "index.html").read_text()
    table = page[page.index("Which approaches survive") : page.index('id="best"')]
    assert "a second network, trained against the first" in table
    assert re.search(r"<strong>breaks</strong> <a [^>]*>fader</a> \d", table)
    assert table.count("<strong>") == 1, "the unbroken track has no outcome"
    track = (tmp_path / "site/tracks/apogee-giants-branch.html").read_text()
    assert "Field pairs alike" not in track, "a column of surveys, which no row of the track has"


def test_a_panel_has_at_most_eight_named_curves(add, make_run, directory, get_task):
    names = [f"m{number:02}" for number in range(11)]
    add(*(make_run(method=name, nearest=0.9 - 0.08 * n) for n, name in enumerate(names)))
    summary = summarise(board.load(directory), get_task)
    members = [list(cast.looks) for cast in casts(summary.tracks)]
    assert [len(names) for names in members] == [6, 5]
    assert sorted(members[0] + members[1]) == names and members[0][0] == "m00"
    assert all(len(set(cast.looks.values())) == len(cast.looks) for cast in casts(summary.tracks))


def test_colours_have_contrast_and_grow_darker_or_lighter():
    light, _, dark = style_sheet().partition("@media")
    for sheet in (light, dark):
        rules = re.findall(r"background: #(\w+); color: #(\w+)", sheet)
        pairs = [[luminance(colour) for colour in rule] for rule in rules]
        assert len(pairs) == LEVELS
        for page, ink in pairs:
            assert (max(page, ink) + 0.05) / (min(page, ink) + 0.05) >= 4.5
        grounds = [ground for ground, _ in pairs]
        assert grounds in (sorted(grounds), sorted(grounds, reverse=True))


def luminance(colour):
    """Return the relative luminance of a colour as in WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
              for part in parts]  # fmt: skip
    return linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722


def test_the_pictures_are_of_the_tracks_of_this_version():
    for name in registry.BUILT_IN:
        task = registry.get_task(name)
        picture = read_picture(name, task.version)
        assert picture is not None, f"run python -m starbench.leaderboard.web.make_pictures {name}"
        assert read_picture(name, task.version + 1) is None
        first = picture.pair
        flux = (
            task.make("test", first, first + 2).flux[:, 0]  # two members of a cluster
            if task.card.survey
            else task.make("test", first, first + 1).flux[0]
        )
        places = np.searchsorted(task.wavelength, np.array(picture.wavelength) - 0.01)
        assert flux[:, places] == pytest.approx(np.array(picture.after.flux), abs=2e-4)


def test_the_site_is_reproducible_to_the_byte(add, make_run, directory, get_task, tmp_path):
    add(
        make_run(seed=0, nearest=0.9, figures=MSE | PROBES),
        make_run(seed=1, nearest=0.8, task="apogee-giants-snr50", figures=MSE | PROBES),
        task=TASK,
    )

    def contents(out):
        build(directory, out, get_task)
        return {path.relative_to(out): path.read_bytes()
                for path in out.rglob("*") if path.is_file()}  # fmt: skip

    first = contents(tmp_path / "a")
    assert contents(tmp_path / "a") == first  # replaces the older site
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_an_empty_leaderboard_has_a_site(directory, get_task, tmp_path):
    build(directory, tmp_path / "site", get_task)
    check_links(tmp_path / "site")
    assert (
        "No method has a rank over the suite yet" in (tmp_path / "site" / "index.html").read_text()
    )
    track = tmp_path / "site" / "tracks" / "apogee-giants-snr50.html"
    assert "No method has a rank yet: " in track.read_text()


@pytest.mark.parametrize("name", ["thesis.txt", "site.txt", ".git/HEAD", "figures/mine.svg"])
def test_a_folder_with_other_files_is_refused(name, directory, get_task, tmp_path):
    out = tmp_path / "site"
    for with_site in (False, True):
        if with_site:
            build(directory, out, get_task)
        other = out / name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("years of work")
        with pytest.raises(RowError, match=f"holds {re.escape(name)}, which no site has"):
            build(directory, out, get_task)
        assert other.read_text() == "years of work"
        shutil.rmtree(out)


def test_links_and_empty_folders_are_not_replaced(directory, get_task, tmp_path):
    out = tmp_path / "site"
    build(directory, out, get_task)
    (out / "index.html").rename(tmp_path / "index.html")
    build(directory, out, get_task)  # a file of the site may be missing
    (out / "drafts").mkdir()
    with pytest.raises(RowError, match="holds drafts, which"):
        build(directory, out, get_task)
    (out / "drafts").rmdir()
    (out / "work").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(RowError, match="holds work, which"):
        build(directory, out, get_task)


def test_the_command_builds_the_site_from_a_folder(add, make_run, directory, get_task, monkeypatch):
    add(make_run())
    monkeypatch.setattr(registry, "get_task", get_task)
    arguments = ["leaderboard", "site", "--quiet", "--directory", str(directory)]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert (directory / "site" / "index.html").is_file()
    assert "MB; open" in outcome.output


def test_labels_of_other_data_are_not_drawn(add, make_run, directory, get_task, tmp_path):
    add(make_run())
    build(directory, tmp_path / "site", lambda name: FakeTask(name, version=2))
    drawn = {path.stem for path in (tmp_path / "site" / "figures").iterdir()}
    assert "apogee-giants-recovery-1" in drawn
    assert "apogee-giants-shift-1" not in drawn


def test_a_task_that_is_not_installed_has_no_label_figures(add, make_run, directory, tmp_path):
    def get_task(name):
        raise DataError(f"There is no task '{name}'.")

    add(make_run())
    build(directory, tmp_path / "site", get_task)
    drawn = {path.stem for path in (tmp_path / "site" / "figures").iterdir()}
    assert "apogee-giants-recovery-1" in drawn
    assert "apogee-giants-shift-1" not in drawn


def test_a_full_disk_is_said_in_one_sentence_and_holds_no_site(
    small_disk, add, make_run, directory
):
    add(make_run())
    (small_disk / "full").write_bytes(bytes(1_950_000))
    words = [
        "leaderboard",
        "site",
        "--quiet",
        "--directory",
        directory,
        "--out",
        small_disk / "site",
    ]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 1
    assert result.output == f"Error: {small_disk / 'site'}: No space left on device.\n"
    assert [file.name for file in small_disk.iterdir()] == ["full"]


def test_a_curve_is_the_mean_of_the_seeds_within_its_interval():
    ranks = np.stack([draw_ranks(seed, 0.5)[0] for seed in range(3)])
    curve = recovery_curve(ranks)
    assert curve.k.tolist() == [1, 3, 10, 25, 100]
    for place, k in enumerate(curve.k):
        assert curve.share[place] == pytest.approx(np.mean([rank <= k for rank in ranks]))
    assert (curve.low <= curve.share).all() and (curve.share <= curve.high).all()
    assert (np.diff(curve.share) >= 0).all()


def test_means_in_bins_of_shift_and_over_the_plane():
    found = np.array([[1.0, 0.0], [1.0, 1.0]])
    teff = np.array([[4000.0, 4050.0], [4000.0, 4950.0]])
    means = by_shift(found, teff)
    assert (means[0], means[-1]) == (0.5, 1.0)
    assert np.isnan(means[1:-1]).all()
    nuisance = np.stack([teff, np.array([[1.5, 3.0], [1.5, 3.0]])], axis=-1)
    first, second, mean = over_plane(found, nuisance)
    assert mean.shape == (len(second) - 1, len(first) - 1)
    assert mean[0, 0] == 1.0  # both stars of 4000 K
    assert (mean[-1, 0], mean[-1, -1]) == (0.0, 1.0)
