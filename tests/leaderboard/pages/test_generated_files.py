"""The generated files: the same bytes for the same rows, escaped text, values in their columns."""

import csv
import html
import io
import itertools
import json
import re
import shutil
import string
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.rows import diverged, draw_ranks, row_content

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.generate import build, differing
from starbench.leaderboard.pages.leaderboard_page import leaderboard_page
from starbench.leaderboard.pages.readme import BEGIN, END, readme_part, with_table
from starbench.leaderboard.pages.rows_csv import suite_csv
from starbench.leaderboard.pages.terminal import WIDTH, table_for_run
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.columns import one_decimal, percent, scientific, two_decimals
from starbench.leaderboard.statistics.suite import score_suite
from starbench.leaderboard.store import board
from starbench.leaderboard.store.board import Entry, file_name, load
from starbench.leaderboard.store.published import published_results
from starbench.metrics import METRICS
from starbench.results.ranks import ranks_digest
from starbench.results.schema import parse_row
from starbench.results.text import RowError
from starbench.tasks.suites import get_suite

pytestmark = pytest.mark.usefixtures("reproduced_rows")

HOSTILE = (
    "<script>alert('x')</script> | <img src=x onerror=y> [a](http://evil) `b` $c$ @d **e** www.f"
)


RANKS = {}  # by digest
SUITE = replace(get_suite(), tracks=get_suite().tracks[:4])  # whatever joins it later
TASKS = SUITE.tasks


def entry(**fields):
    rank, tied = draw_ranks(fields.get("seed", 0), fields.pop("nearest", 0.5))
    RANKS[ranks_digest(rank)] = rank
    change = fields.pop("change", lambda content: content)
    row = parse_row(json.dumps(change(row_content(rank, tied, **fields))))
    return Entry(row, Path("rows") / file_name(row), "reproduced")


def scores_of(entries):
    """Score the suite with the ranks from which the rows' metrics were made."""

    def read(groups):
        return [
            np.stack([RANKS[entry.row.ranks_sha256] for entry in group.entries]) for group in groups
        ]

    return score_suite(SUITE, sections(entries), read)


def cells(line):
    """Split a line of a Markdown table at the bars that are not escaped, as a renderer does."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def tables(page):
    """Return each table of a page as lists of cells, without the rule below the header."""
    blocks = re.findall(r"(?:^\|.*\n?)+", page, re.MULTILINE)
    return [
        [cells(line) for line in block.splitlines() if not line.startswith("| :--")]
        for block in blocks
    ]


ANCHOR = re.compile(r'^<a id="[^"]*"></a>')


def line_of(page, start):
    """Return the cells of the line of a method or a row, without its rank and a method's level."""
    for table in tables(page):
        skipped = table[0][0] == "Rank"
        for line in table[1:]:
            if table[0][2] == "Level":
                line = [*line[:2], *line[3:]]
            if ANCHOR.sub("", line[skipped]).startswith(start):
                return line[skipped:]
    raise AssertionError(f"no line begins with {start}")


def seeds_text(cell):
    """Return the text of the link to a group's rows."""
    return re.fullmatch(r"\[(.*)\]\(#\S+\)", cell)[1]


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (percent, 0.607, "60.7"),
        (percent, 0.9998, "99.98"),
        (percent, 0.0001, "0.01"),
        (percent, 0.0, "0.0"),
        (percent, 1.0, "100.0"),
        (scientific, 2.2e-6, "2.2e-6"),
        (scientific, 0.0, "0.0e0"),
        (scientific, 9.96e-7, "1.0e-6"),
        (scientific, 3.7e-14, "3.7e-14"),
        (two_decimals, -0.004, "0.00"),
        (two_decimals, -0.35, "-0.35"),
        (one_decimal, 6.04, "6.0"),
    ],
)
def test_numbers_are_formatted_as_documented(write, value, text):
    assert write(value) == text


def test_a_leaderboard_without_rows_shows_the_published_values():
    page = leaderboard_page([])
    assert "No rows yet." in page
    line = line_of(page, "*fader* (published: de Mijolla and Ness, Table 1; 25,000 stars)")
    assert line[1:7] == ["", "60.7", "82.3", "93.7", "2.2e-6", "3.7e-4"]
    assert line[7:] == ["", "", ""]
    assert "## Single rows" not in page
    for task in ("apogee-giants", "apogee-giants-snr100", "apogee-giants-snr30"):
        assert f"\n## {task}\n" in page
    # By decreasing SNR.
    assert page.index("-snr100") < page.index("-snr50") < page.index("-snr30")


def test_later_metrics_have_columns_where_a_row_has_them():
    later = {
        "explained_twin_distance": 0.25,
        "conditional_leakage.mlp.Teff": 0.125,
        "conditional_leakage.mlp.logg": 0.0625,
    }
    newer = {"task": "apogee-giants-snr50", "figures": later}
    page = leaderboard_page([entry(), entry(**newer), entry(seed=1, **newer)])
    by_task = {part.split("\n")[0]: part for part in page.split("\n## ")}
    titles = {"Conditional leakage", "Explained twin distance"}
    without, among = (tables(by_task[task])[0][0] for task in ("apogee-giants", newer["task"]))
    assert not titles & set(without) and titles < set(among)
    among = [title for title in among[1:] if title != "Level"]
    values = dict(zip(among, line_of(by_task[newer["task"]], "fader"), strict=True))
    assert values["Conditional leakage"] == "0.12 ± 0.00"  # the larger of the two
    assert values["Explained twin distance"] == "0.25 ± 0.00"
    assert "Explained twin distance" in tables(page)[-1][0], "single rows"
    assert "Explained twin distance" not in tables(leaderboard_page([entry()]))[-1][0]


def test_the_board_says_what_its_names_and_its_bound_are():
    page = " ".join(leaderboard_page([]).split())
    assert "Only twins, or knowledge of how the effects of the elements change" in page
    assert 'the preset "published", and no row was made with it.' in page
    for source in {line.source for line in published_results()}:
        assert f"{source[0].upper()}{source[1:]}" in page, f"{source} is not explained"


def test_no_row_was_made_with_the_published_network():
    """Once there is one, the sentences of `starbench.leaderboard.pages.claims` must change."""
    text = (board.shipped_directory() / "leaderboard.csv").read_text()
    assert "published" not in {line["preset"] for line in csv.DictReader(io.StringIO(text))}


def test_published_values_are_possible_and_have_a_source():
    lines = published_results()
    assert len(lines) == 22
    for line in lines:
        shares = [line.values[name] for name in ("doppelganger_free", "doppelganger_0.1",
                                                  "doppelganger_1")]  # fmt: skip
        assert shares == sorted(shares)
        assert shares[0] >= 0 and shares[-1] <= 1
        assert line.source and line.gallery_size in (25_000, 50_000)
        assert line.label_access == "nuisance"


def test_every_metric_is_defined_on_the_page():
    page = leaderboard_page([])
    for name, metric in METRICS.items():
        line = line_of(page, f"`{name}`")
        assert line[1] == markdown(metric.definition)
        assert line[3] == ("higher" if metric.higher_is_better else "lower")


def test_published_values_share_a_table_with_rows_below_those_that_were_checked():
    page = leaderboard_page([entry(seed=seed, nearest=0.7) for seed in range(3)])
    (table,) = [t for t in tables(page) if any("Table 1" in line[1] for line in t)]
    names = [line[1].split("(")[0].strip(" *") for line in table[1:]]
    (ours,) = (number for number, line in enumerate(table[1:]) if line[1] == "fader")
    assert ours < names.index("factordis") < names.index("polynomial residual + PCA")
    ours = line_of(page, "fader")
    assert seeds_text(ours[1]) == "3"
    assert re.fullmatch(r"\d\d\.\d ± \d+\.\d", ours[2])
    assert ours[5] == ours[6] == "", "without a decoder the cells are empty, not zero"
    assert ours[9] == "6.0 ± 0.0"


def test_each_label_access_has_its_own_table():
    page = leaderboard_page(
        [entry(), entry(method="composition", label_access="oracle", nearest=1.0)]
    )
    nuisance, oracle = page.index("#### Nuisance labels"), page.index("#### Oracle")
    assert nuisance < page.index("|  | fader |") < oracle < page.index("|  | composition |")


def test_single_rows_link_to_their_files_and_have_their_command():
    one = entry(seed=4, overrides={"n_latent": 20})
    line = line_of(leaderboard_page([one]), "[apogee-giants fader 4]")
    assert line[0].endswith(f"(rows/{one.path.name})")
    assert line[0].startswith(f'<a id="{one.path.stem}"></a>')
    assert re.fullmatch(r"\d\d\.\d \\\[\d\d\.\d, \d\d\.\d\\\]", line[1])
    assert line[-3] == "`aaaaaaaaaa`"
    assert line[-1] == (
        "<code>starbench run --method fader --task apogee-giants --scale full --seed 4"
        " --set n\\_latent=20 --threads 2</code>"
    )


def test_a_diverged_row_says_that_it_diverged():
    page = leaderboard_page([entry(), entry(seed=1, change=diverged)])
    assert seeds_text(line_of(page, "fader")[1]) == "1 (+ 1 diverged)"
    assert line_of(page, "[apogee-giants fader 1]")[1] == r"diverged: loss \| is NaN"


def test_changed_code_and_releases_are_marked():
    page = leaderboard_page([entry(seed=0, dirty=True), entry(seed=1, commit=None, dirty=None)])
    assert line_of(page, "[apogee-giants fader 0]")[-3] == "`aaaaaaaaaa` (changed)"
    assert line_of(page, "[apogee-giants fader 1]")[-3] == "release 0.1.0"


def test_incomparable_rows_are_in_separate_sets():
    page = leaderboard_page([entry(seed=0), entry(seed=1, data_fingerprint="old")])
    assert "### Comparable rows, set 1 of 2" in page
    assert "### Comparable rows, set 2 of 2" in page
    assert page.count("Not comparable with the other sets.") == 2
    assert page.count("de Mijolla and Ness, Table 1; 25,000 stars") == 2, (
        "published values appear once"
    )


def test_each_setting_has_its_own_line():
    sets = {"hyperparameters": {"n_latent": 5}, "overrides": {"n_latent": 5}}
    page = leaderboard_page([entry(), entry(**sets), entry(preset="published")])
    assert seeds_text(line_of(page, r"fader (n\_latent = 5)")[1]) == "1"
    page = leaderboard_page([entry(), entry(hyperparameters={"n_latent": 5})])
    digests = {file_name(entry(**more).row)[-13:-5]
               for more in ({}, {"hyperparameters": {"n_latent": 5}})}  # fmt: skip
    in_names = {re.search(r"`(\w{8})`", line[1])[1] for t in tables(page) for line in t
                if line[1].startswith("fader v1")}  # fmt: skip
    assert in_names == digests


def test_the_number_of_seeds_links_to_the_single_rows():
    entries = [entry(seed=seed, method=name) for seed in range(3) for name in ("a", "b")]
    entries += [entry(seed=seed, method="a", hyperparameters={"n": 1}) for seed in range(2)]
    page = leaderboard_page(entries)
    links = re.findall(r"\[\d\]\(#([^)]*)\)", page)
    assert len(set(links)) == len(links) == 3
    anchors = re.findall(r'<a id="([^"]*)">', page)
    assert len(set(anchors)) == len(anchors) == len(entries)
    assert set(links) <= set(anchors)
    # The rows of a line are together, beginning with the one it links to.
    assert [re.sub(r".*__(\w)__seed(\d)-(\w)\w*", r"\1\2\3", anchor) for anchor in anchors] in (
        [f"{name}{seed}{digest}" for name, seed, digest in order]
        for order in orders_of_groups(entries)
    )


def orders_of_groups(entries):
    """Return the orders of rows in which those of a group are together, by seed."""
    by_group = {}
    for each in entries:
        key = each.row.method, each.row.settings_digest
        by_group.setdefault(key, []).append((each.row.method, each.row.seed, key[1][0]))
    for order in itertools.permutations(by_group.values()):
        yield [row for group in order for row in group]


def test_a_value_missing_for_some_seeds_shows_how_many_have_it():
    entries = [entry(seed=0, figures={"reconstruction_mse": 1e-6}), entry(seed=1)]
    assert line_of(leaderboard_page(entries), "fader")[5] == "1 of 2 seeds"


def test_a_long_label_is_cut():
    sets = {f"key{number}": "x" * 300 for number in range(100)}
    page = leaderboard_page([entry(hyperparameters=sets, overrides=sets)])
    line = line_of(page, "fader (key0 = xxx")
    assert len(line[0]) < 250
    assert re.search(r" \.\.\. v1 `\w{8}`$", line[0])


def test_a_row_cannot_end_the_generated_part_of_the_readme():
    sets = {"name": END}
    table = readme_part(scores_of([entry(hyperparameters=sets, overrides=sets)]))
    assert END not in table
    once = with_table(f"before {BEGIN} old {END} after", table)
    assert with_table(once, "| new |") == with_table(f"before {BEGIN} {END} after", "| new |")


def test_hostile_text_is_displayed_literally():
    sets = {"name": HOSTILE}
    hardware = {"processor": HOSTILE, "cores": 1, "threads": 1, "memory_gib": 1,
                "device": "cpu", "system": "x"}  # fmt: skip
    entries = [
        entry(reference=HOSTILE, hyperparameters=sets, overrides=sets, hardware=hardware),
        entry(seed=1, change=lambda c: {**diverged(c), "message": HOSTILE}),
    ]
    harmless, page = (
        leaderboard_page(each, scores=scores_of(each)) for each in ([entry(), entries[1]], entries)
    )
    for text in (page, readme_part(scores_of(entries))):
        assert "<script" not in text
        assert "<img" not in text
        assert not re.search(r"(?<!\\)\]\(http", text)
        assert "://evil" not in text
        assert "$c$" not in text
    # All lines have the same columns, so no bar in a text has split a cell.
    for table in tables(page):
        assert {len(line) for line in table} == {len(table[0])}
    assert len(tables(page)) == len(tables(harmless))
    anchors = {f'<a id="{each.path.stem}">' for each in entries}
    assert set(re.findall(r"<[^!][^>]*>", page)) == {"<code>", "</code>", "</a>", *anchors}


@given(st.text(string.printable[:95] + "äπ", max_size=40))
@example(HOSTILE)
@example("\\&amp;\\\\#58;://")
def test_escaped_text_renders_as_the_original(text):
    rendered = html.unescape(re.sub(r"\\([!-/:-@[-`{-~])", r"\1", markdown(text)))
    assert rendered == text
    # Nothing is left that CommonMark, its tables or GitHub's additions would interpret.
    left = re.sub(r"\\[\\`*_\[\]|~#!]|&(#?\w+);", "", markdown(text))
    assert not re.search(r"[\\`*_\[\]|~#!<>$@&]|://|www\.", left)


def make_board(add, make_run):
    add(*(make_run(seed=seed, nearest=0.6) for seed in range(3)))
    add(make_run(method="conditional-autoencoder", nearest=0.1))


def suite_entries(method, nearest, tasks=TASKS, seeds=(0, 1, 2), **fields):
    return [
        entry(task=task, method=method, seed=seed, nearest=nearest - 0.1 * number, **fields)
        for number, task in enumerate(tasks)
        for seed in seeds
    ]


@pytest.fixture(scope="module")
def suite_board():
    control = {"label_access": "oracle", "control": True}
    return [
        *(each for number in range(6) for each in suite_entries(f"m-{number}", 0.9 - number / 20)),
        *suite_entries("partial", 0.95, TASKS[:2]),
        *suite_entries("hasty", 0.99, seeds=[0]),
        *suite_entries("information-bound", 1.3, seeds=[0], **control),
        *suite_entries("composition", 1.3, TASKS[:1], seeds=[0], **control),
        *suite_entries("twins", 0.8, label_access="pairs"),
    ]


def test_the_readme_shows_the_best_methods_on_the_tracks_of_the_suite(suite_board):
    adversaries = ("dann", "factordis", "fader")
    labelled = [each for number, name in enumerate((*adversaries, "mmd", "hsic"))
                for each in suite_entries(name, 0.9 - number / 20)]  # fmt: skip
    scores = scores_of([*suite_board, *labelled])
    part = readme_part(scores)
    (table,) = tables(part)
    assert table[0] == ["Method", "Approach", "Level", "Score [%]",
                        "apogee-giants", "-snr100", "-snr50", "-snr30"]  # fmt: skip
    approaches = [line[1] for line in table[1:]]
    assert approaches == ["adversary", "adversary", "independence penalty",
                          "other use of the labels", "adversary", "adversary", "twins",
                          ""]  # fmt: skip
    table = [[line[0], *line[2:]] for line in table]
    names = [line[0] for line in table[1:]]
    assert [name.split(" (")[0] for name in names] == [
        "dann", "factordis", "mmd", "hasty", "*fader*", "*fader", "twins",
        "information-bound *(control)*"
    ]  # fmt: skip
    assert len(names) <= 12
    first = next(line for line in scores.lines if line.row.method == "factordis")
    assert table[2][2] == rf"{percent(first.score.value)} \[{percent(first.score.low)}, " + (
        rf"{percent(first.score.high)}\]"
    )
    assert table[2][3:] == [percent(first.tracks[task].share) for task in TASKS]
    assert table[-1][2:] == ["", *(percent(scores.bound[task].share) for task in TASKS)]
    assert all(len(line) <= 100 for line in part.splitlines() if not line.startswith("|"))
    assert "lack tracks" not in part
    fewer = [each for each in suite_board if each.row.method in ("partial", "information-bound")]
    assert "Those without a score lack tracks" in " ".join(readme_part(scores_of(fewer)).split())


def test_the_board_opens_with_the_suite(suite_board):
    page = leaderboard_page(suite_board, scores=scores_of(suite_board))
    table = tables(page)[0]
    assert page.index("## The suite giants-v1") < page.index("## How to read")
    # Without the level, and without the settings that were tried.
    lines = {line[1]: [*line[:2], *line[3:5], *line[6:]] for line in table[1:]}
    assert lines["m-0"][0] == "1" and lines["m-0"][3] == "3"
    assert lines["hasty"][0] == "" and lines["hasty"][4], "a score and no rank"
    assert lines["partial"][4:] == ["", *lines["partial"][5:7], "", ""]
    assert table[-1][1] == "information-bound *(control)*"
    best = "**m-0** has the highest score of the 6 ranked methods, "
    assert f"\n- Label access nuisance: {best}" in page
    assert "\n- Label access pairs: **twins** has the highest score.\n" in page
    assert "\nWithout a rank, as they have fewer than three seeds: hasty.\n" in page
    assert "\n- no rows on apogee-giants-snr50 and apogee-giants-snr30: partial\n" in page, (
        "controls need no score"
    )


def test_the_board_says_which_rows_of_a_track_do_not_count(suite_board):
    other = suite_entries("m-0", 0.5, TASKS[1:2], task_version=2)
    page = leaderboard_page(suite_board, scores=scores_of([*suite_board, *other]))
    assert (
        "\nRows of apogee-giants-snr100 version 2 do not count, as giants-v1 has version 1.\n"
        in page
    )


def test_the_suite_as_csv_reads_back(suite_board):
    scores = scores_of(suite_board)
    lines = {line["method"]: line for line in csv.DictReader(io.StringIO(suite_csv(scores)))}
    assert list(lines)[-1] == "information-bound" and len(lines) == len(scores.lines) + 1
    for line in scores.lines:
        written = lines[line.row.method]
        assert written["rank"] == ("" if line.rank is None else str(line.rank))
        assert written["score"] == ("" if line.score is None else repr(line.score.value))
        for task in TASKS:
            track = line.tracks.get(task)
            assert written[task] == ("" if track is None else repr(track.share))
            assert written[f"{task}.gap_closed"] == (
                "" if track is None else repr(track.gap_closed)
            )
    assert lines["information-bound"][f"{TASKS[0]}.gap_closed"] == "1.0"
    assert suite_csv(scores_of([])) == ""


def test_building_is_reproducible_to_the_byte(add, make_run, directory):
    make_board(add, make_run)
    readme = directory.parent / "README.md"
    readme.write_text(f"# starbench\n\n{BEGIN}\n{END}\n\nThe end.\n")
    assert {path.name for path in build(load(directory), directory)} == {
        "LEADERBOARD.md",
        "suite.csv",
        "leaderboard.csv",
        "README.md",
    }
    written = (
        *(directory / name for name in ("LEADERBOARD.md", "suite.csv", "leaderboard.csv")),
        readme,
    )
    first = {path: path.read_bytes() for path in written}
    assert build(load(directory), directory) == []
    assert differing(load(directory), directory) == {}
    for path in first:
        path.unlink() if path != readme else path.write_text(
            f"# starbench\n\n{BEGIN}\nstale\n{END}\n\nThe end.\n"
        )
    build(load(directory), directory)
    assert {path: path.read_bytes() for path in first} == first
    assert b"conditional-autoencoder" in first[readme]
    assert first[readme].startswith(b"# starbench\n")
    assert first[readme].endswith(b"\n\nThe end.\n")


def test_the_page_does_not_depend_on_the_order_of_rows_or_keys(add, make_run, directory, tmp_path):
    make_board(add, make_run)
    entries = load(directory)
    pages = {leaderboard_page(order) for order in itertools.permutations(entries)}
    assert len(pages) == 1
    # The same rows, with all keys in reverse order.
    other = tmp_path / "other" / "leaderboard"
    shutil.copytree(directory, other)
    for path in (other / "rows").glob("*.json"):

        def reordered(value):
            if isinstance(value, dict):
                return {key: reordered(value[key]) for key in reversed(value)}
            return value

        path.write_text(json.dumps(reordered(json.loads(path.read_text()))))
    assert {leaderboard_page(load(other))} == pages


def test_a_page_edited_by_hand_is_out_of_date(add, make_run, directory):
    make_board(add, make_run)
    build(load(directory), directory)
    page = directory / "LEADERBOARD.md"
    page.write_text(page.read_text().replace("fader", "fader, the best"))
    assert list(differing(load(directory), directory)) == [page]


@pytest.mark.parametrize(
    "readme", ["no markers", BEGIN, END, END + BEGIN, BEGIN + BEGIN + END, BEGIN + END + END]
)
def test_a_readme_without_its_markers_is_refused(readme):
    with pytest.raises(RowError, match=r"README.md: the lines .* once each, in this order"):
        with_table(readme, "table")


def test_the_generated_part_of_the_readme_is_replaced():
    once = with_table(f"before {BEGIN} old {END} after", "| new |")
    assert once == f"before {BEGIN}\n\n| new |\n\n{END} after"
    assert with_table(once, "| new |") == once


# ------------------------------------------------------------------------------------- terminal


def test_a_run_ends_with_its_figures_and_the_rows_to_compare_them_with(add, make_run, directory):
    make_board(add, make_run)
    row, _ = board.read_row_and_ranks(make_run(method="new", seed=7, nearest=0.55) / "row.json")
    text = table_for_run(row, directory)
    lines = text.splitlines()
    assert lines[0] == "new on apogee-giants, version 1, full scale, seed 7"
    figure = row.metrics["doppelganger_free"]
    value, low, high = (percent(x) for x in (figure.value, figure.low, figure.high))
    assert re.search(rf"^Nearest \[%\] +{value} +{low} to {high}$", text, re.MULTILINE)
    assert re.search(rf"^> new, this run +1 +{value} ", text, re.MULTILINE)
    assert re.search(r"^fader, reproduced +3 ", text, re.MULTILINE)
    assert re.search(r"^fader \(published: .* +60.7 +82.3 +93.7", text, re.MULTILINE)
    assert max(map(len, lines)) <= WIDTH


def test_a_run_is_compared_with_its_label_access_alone(add, make_run, directory):
    make_board(add, make_run)
    add(make_run(method="contrastive", label_access="pairs"))
    row, _ = board.read_row_and_ranks(
        make_run(method="new", label_access="pairs", seed=7) / "row.json"
    )
    text = table_for_run(row, directory)
    methods = re.findall(r"^([a-z-]+), reproduced +\d ", text, re.MULTILINE)
    assert methods == ["contrastive"]
    assert "Label access pairs, means over seeds" in text
    assert "published" not in text  # those of this task have label access `nuisance`


@pytest.mark.parametrize(("scale", "purpose"), [("mini", "trying"), ("tiny", "tests")])
def test_a_small_run_ends_with_what_its_scale_is_for(add, make_run, directory, scale, purpose):
    make_board(add, make_run)
    row, _ = board.read_row_and_ranks(make_run(method="new", scale=scale) / "row.json")
    text = table_for_run(row, directory)
    assert f"The scale {scale} is for {purpose}" in text
    assert "leaderboard/LEADERBOARD.md" in text
    assert "fader" not in text and "published" not in text  # full-scale rows
    assert max(map(len, text.splitlines())) <= WIDTH


def test_a_run_on_own_data_ends_with_its_figures_alone(make_run, directory):
    row, _ = board.read_row_and_ranks(make_run(task="my_pairs", scale="own") / "row.json")
    text = table_for_run(row, directory)
    assert text.startswith("fader on my_pairs, version 1, own, seed 0")
    assert "published" not in text and "scale" not in text


def test_what_the_network_probe_needs_is_counted_in_spectra(make_run, directory):
    """A survey has stars of one spectrum, so that a number of pairs would mislead."""
    row, _ = board.read_row_and_ranks(make_run(task="survey", scale="own") / "row.json")
    probed = {"nuisance_leakage.ridge.Teff": row.metrics["doppelganger_free"]}
    row = row.model_copy(update={"metrics": probed})
    text = " ".join(table_for_run(row, directory).split())
    assert "the network probe gave none (it needs 640 training spectra)." in text


def test_an_invalid_leaderboard_does_not_hide_the_row(add, make_run, directory):
    (path,) = add(make_run())
    path.write_text("{}")
    row, _ = board.read_row_and_ranks(make_run(seed=1) / "row.json")
    text = table_for_run(row, directory)
    assert "Nearest [%]" in text
    assert "The leaderboard's rows are omitted: " in text
