"""Rows: which are accepted, which are refused in which words, and stable bytes."""

import copy
import json
import math
import os
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rows import example_ranks

from starbench.results import schema as results
from starbench.results.ranks import read_ranks, write_ranks
from starbench.results.schema import MAX_ROW_BYTES, Row, parse_row, read_row, row_text, write_row
from starbench.results.text import RowError


def figure(value, low=None, high=None, version=1):
    return {
        "value": value,
        "low": value if low is None else low,
        "high": value if high is None else high,
        "version": version,
    }


CONTENT = {
    "method": "fader",
    "method_version": 1,
    "label_access": "nuisance",
    "control": False,
    "reference": "Lample et al. 2017, Fader Networks",
    "hyperparameters": {
        "n_latent": 20,
        "rate": 1e-3,
        "widths": [256, 64],
        "ramp": None,
        "act": "elu",
    },
    "preset": None,
    "overrides": {"n_latent": 20},
    "task": "apogee-giants",
    "task_version": 1,
    "scale": "full",
    "data_fingerprint": "abc123",
    "seed": 0,
    "selection": {"rule": "last epoch", "epoch": 60},
    "status": "ok",
    "metrics": {
        "doppelganger_free": figure(0.6, 0.59, 0.61),
        "doppelganger_0.1": figure(0.8, 0.79, 0.81),
        "doppelganger_1": figure(0.9, 0.89, 0.91),
        "reconstruction_mse": figure(2e-6),
        "nuisance_leakage.mlp.Teff": figure(-0.01, -0.02, 0.0),
        "composition_recovery.mlp.[Fe/H]": figure(0.99),
    },
    "ranks_sha256": "0" * 64,
    "starbench_version": "0.1.0",
    "commit": "a" * 40,
    "dirty": False,
    "libraries": {"python": "3.12.1", "torch": "2.4.0+cpu"},
    "hardware": {
        "processor": "Some processor",
        "cores": 2,
        "threads": 2,
        "memory_gib": 7.8,
        "device": "cpu",
        "accelerator": None,
        "system": "Linux x86_64",
    },
    "seconds": {"data": 1.0, "fit": 300.0, "score": 20.0, "total": 321.0},
    "epochs": 60,
    "peak_memory_mb": 1900.5,
    "n_parameters": 1_000_000,
}


def changed(**fields):
    """Return the content of a good row with fields changed; a dotted name reaches into objects."""
    content = copy.deepcopy(CONTENT)
    for name, value in fields.items():
        content[name] = value
    return content


def with_metric(name, **changes):
    content = copy.deepcopy(CONTENT)
    content["metrics"].setdefault(name, figure(0.5))
    content["metrics"][name] |= changes
    return content


def refusal(content):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    with pytest.raises(RowError) as caught:
        parse_row(text, "row.json")
    sentence = str(caught.value)
    assert sentence.startswith("row.json: ")
    assert sentence.isprintable(), "an error must not carry control characters to the terminal"
    assert len(sentence) < 700
    return sentence


def test_a_valid_row_is_accepted():
    row = parse_row(json.dumps(CONTENT))
    assert row.metrics["doppelganger_free"].value == 0.6
    assert row.hyperparameters["widths"] == [256, 64]
    assert row.split == "test"
    assert row.schema_version == 1


def test_integers_are_accepted_for_floats():
    row = parse_row(json.dumps(changed(seconds={"total": 3}, peak_memory_mb=1900)))
    assert row.seconds == {"total": 3.0}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (changed(seed="0"), "field `seed` should be a valid integer, not '0'"),
        (changed(seed=True), "field `seed` should be a valid integer"),
        (changed(seed=-1), "field `seed` should be greater than or equal to 0"),
        (changed(seed=10**30), "field `seed`"),
        (with_metric("doppelganger_free", value="0.6"), "`metrics.doppelganger_free.value`"),
        (with_metric("doppelganger_free", value=None), "`metrics.doppelganger_free.value`"),
        (with_metric("doppelganger_free", version=0), "`metrics.doppelganger_free.version`"),
        (changed(schema_version=2), "`schema_version` should be 1"),
        (changed(split="train"), "`split` should be 'test'"),
        (changed(label_access="all"), "`label_access` should be 'none', 'nuisance'"),
        (changed(scale="huge"), "`scale`"),
        (changed(metod="fader"), "`metod` is not a field of a row"),
        (changed(commit="HEAD"), "`commit`"),
        (changed(ranks_sha256="xyz"), "`ranks_sha256`"),
        (changed(hyperparameters={"a": {"b": 1}}), "`hyperparameters.a` should be true, false"),
        (changed(hyperparameters={"a": ["1"]}), "`hyperparameters.a` should be a list of numbers"),
        (changed(hyperparameters={"a": 2**64}), "`hyperparameters.a`"),
        (changed(hyperparameters={"a": "x" * 301}), "`hyperparameters.a`"),
        (changed(hyperparameters={str(i): i for i in range(101)}), "`hyperparameters`"),
        (changed(overrides={"n_latent": 30}), "`overrides.n_latent` should equal"),
        (changed(overrides={"other": 1}), "`overrides.other` should equal"),
        (changed(seconds={"fit": -1.0}), "`seconds.fit`"),
        (changed(seconds={"fit": 1e300}), "`seconds.fit`"),
        (with_metric("swap_gap", **figure(1e200)), "should lie between -1e150 and 1e150"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused_by_name(content, words):
    assert words in refusal(content)


def test_every_field_without_a_default_is_required():
    for name, field in Row.model_fields.items():
        if field.is_required():
            content = {key: value for key, value in CONTENT.items() if key != name}
            assert refusal(content) == f"row.json: field `{name}` is missing; add it"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_refused(value):
    text = json.dumps(CONTENT).replace("0.59", value)
    assert f"JSON has no number {value}" in refusal(text)


def test_a_number_beyond_float_is_refused():
    assert "doppelganger_free" in refusal(json.dumps(CONTENT).replace("0.59", "-1e999"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            with_metric("doppelganger_free", **figure(0.85)),
            "doppelganger_free <= doppelganger_0.1 <= doppelganger_1",
        ),
        (with_metric("doppelganger_0.1", **figure(0.95)), "doppelganger_free <="),
        (with_metric("doppelganger_1", **figure(1.01)), "should lie in [0, 1]"),
        (with_metric("doppelganger_free", **figure(-0.1)), "should lie in [0, 1]"),
        (with_metric("doppelganger_1", high=1.2), "should lie in [0, 1]"),
        (with_metric("tied_share", **figure(2.0)), "`tied_share` should lie in [0, 1]"),
        (with_metric("reconstruction_mse", **figure(-1e-9)), "should lie in [0, inf]"),
        (with_metric("swapped_reconstruction_mse", **figure(-1.0)), "should lie in [0, inf]"),
        (with_metric("composition_recovery.mlp.[Fe/H]", **figure(1.1)), "[-inf, 1]"),
        (with_metric("nuisance_leakage.mlp.Teff", **figure(1.1)), "[-inf, 1]"),
        (with_metric("doppelganger_free", low=0.61, high=0.62), "low <= value <= high"),
        (with_metric("doppelganger_free", low=None), "both `low` and `high`, or neither"),
    ],
)
def test_impossible_metrics_are_refused(content, words):
    assert words in refusal(content)


def test_validation_metrics_are_checked_too():
    bad = {"doppelganger_free": figure(1.5)}
    assert "should lie in [0, 1]" in refusal(changed(validation_metrics=bad))


def test_a_scored_row_needs_its_ranks_and_rank_metrics():
    assert "`ranks_sha256` should be given" in refusal(changed(ranks_sha256=None))
    content = changed()
    del content["metrics"]["doppelganger_0.1"]
    assert "`metrics` should hold `doppelganger_0.1`" in refusal(content)


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_broken_run_has_no_metrics_and_says_why(status):
    broken = {"status": status, "metrics": {}, "ranks_sha256": None}
    assert parse_row(json.dumps(changed(**broken, message="loss is NaN"))).status == status
    assert "`message` should say why" in refusal(changed(**broken))
    assert "should be empty" in refusal(changed(status=status, message="loss is NaN"))


@pytest.mark.parametrize(
    "name",
    ["../etc", "Fader", "", "-fader", "a/b", "a" * 65, "fader\n", "<script>", "a.b.c", "fäder"],
)
def test_method_names_with_other_characters_are_refused(name):
    assert "field `method`" in refusal(changed(method=name))


def test_a_method_name_may_carry_a_namespace():
    assert parse_row(json.dumps(changed(method="lab.fader-2"))).method == "lab.fader-2"


@pytest.mark.parametrize("name", ["..", "a..b", "/tmp", "a/b", "a\\b", ".hidden", "a b", "x" * 65])
def test_task_names_with_other_characters_are_refused(name):
    assert "field `task`" in refusal(changed(task=name))


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2Jcleared",
        "bell\x07",
        "two\nlines",
        "tab\t",
        "\u202eright to left",
        "zero\u200bwidth",
        "\x9b31m",
        "\u2028",
        "\ufeff",
        "x" * 301,
        "",
    ],
)
def test_references_with_control_characters_or_of_a_wrong_length_are_refused(text):
    assert "field `reference`" in refusal(changed(reference=text))
    assert "\x1b" not in refusal(changed(reference=text))


def test_a_lone_surrogate_is_refused():
    text = json.dumps(CONTENT).replace("Lample", r"\ud800")
    assert "field `reference`" in refusal(text)


def test_control_characters_in_a_field_name_do_not_reach_the_terminal():
    assert "is not a field of a row" in refusal(changed(**{"\x1b[31mred": 1}))
    bad = {"\x1b[31m": figure(0.5)}
    assert "metrics" in refusal(changed(validation_metrics=bad))


def test_html_is_text_to_the_schema():
    # Rendering escapes it; a reference may well hold an ampersand or a comparison.
    row = parse_row(json.dumps(changed(reference="A & B <i>2020</i>")))
    assert row.reference == "A & B <i>2020</i>"


def test_a_key_given_twice_is_refused():
    text = json.dumps(CONTENT)[:-1] + ', "seed": 1}'
    assert "key 'seed' occurs twice" in refusal(text)


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "3", '"row"', "[" * 100_000, b"\xff\xfe\x00", "{'a': 1}", "9" * 5000],
)
def test_text_that_is_not_a_row_is_refused(text):
    refusal(text)


def test_a_huge_row_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "row.json"
    with path.open("wb") as file:
        file.truncate(MAX_ROW_BYTES + 1)
    with pytest.raises(RowError, match=r"1,000,001 bytes; a row may have at most 1,000,000"):
        read_row(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_path_that_is_not_a_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "row.json")
    with pytest.raises(RowError, match="not a file"):
        read_row(tmp_path / "row.json")
    with pytest.raises(RowError, match="not a file"):
        read_row(tmp_path)
    with pytest.raises(RowError, match="cannot be read"):
        read_row(tmp_path / "none.json")
    with pytest.raises(RowError, match="cannot be read"):
        read_row("a\0b")


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights of their own there")
def test_symlinks_are_refused(tmp_path):
    # A symlink in a pull request would name a file of whoever checks it.
    write_row(parse_row(json.dumps(CONTENT)), tmp_path / "real.json")
    write_ranks(tmp_path / "real.h5", *example_ranks())
    for name, read in (("json", read_row), ("h5", read_ranks)):
        link = tmp_path / f"link.{name}"
        link.symlink_to(tmp_path / f"real.{name}")
        with pytest.raises(RowError, match=f"link.{name}: symlinks are refused; put"):
            read(link)
        (tmp_path / f"real.{name}").unlink()  # one that leads nowhere is no other
        with pytest.raises(RowError, match="symlinks are refused"):
            read(link)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights of their own there")
def test_writing_replaces_a_symlink_and_not_its_target(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "row.json").symlink_to(target)
    write_row(parse_row(json.dumps(CONTENT)), tmp_path / "row.json")
    assert target.read_text() == "precious"
    assert not (tmp_path / "row.json").is_symlink()


def test_written_rows_are_stable_whatever_the_order_of_the_keys(tmp_path):
    def reordered(value):
        if isinstance(value, dict):
            return {key: reordered(value[key]) for key in reversed(value)}
        return value

    write_row(parse_row(json.dumps(CONTENT)), tmp_path / "a.json")
    write_row(parse_row(json.dumps(reordered(CONTENT))), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert (tmp_path / "a.json").read_text().endswith("}\n")


def test_the_digest_of_settings_depends_on_settings_and_not_on_seeds():
    row = parse_row(json.dumps(CONTENT))
    same = parse_row(json.dumps(changed(seed=7, overrides={}, commit="b" * 40)))
    assert same.settings_digest == row.settings_digest
    for other in (
        changed(hyperparameters={"n_latent": 21}, overrides={}),
        changed(method_version=2),
        changed(selection={"rule": "best validation", "epoch": 60}),
    ):
        assert parse_row(json.dumps(other)).settings_digest != row.settings_digest


def test_times_are_also_multiples_of_the_reference_kernel():
    def kernels(**fields):
        seconds = {"data": 5, "fit": 300, "score": 60}
        return parse_row(json.dumps(changed(seconds=seconds, **fields))).kernels

    load = {"runs_at_once": 2, "kernel_seconds": 0.5, "kernel_version": 1}
    assert kernels(load=load) == 720
    assert kernels(load={"runs_at_once": 2}) is None  # an accelerator did the work
    assert kernels() is None  # as in rows of the first releases


def test_the_adversary_of_an_older_row_is_read_as_diagnostics():
    older = {"adversary": {"cross_entropy": 3.215, "chance": 3.219}}
    row = parse_row(json.dumps(changed(**older)))
    assert row.diagnostics == {
        "adversary_cross_entropy": 3.215, "chance_cross_entropy": 3.219,
    }  # fmt: skip
    assert parse_row(row_text(row)) == row
    assert "adversary" not in json.loads(row_text(row))
    assert parse_row(json.dumps(changed(adversary=None))).diagnostics == {}
    for value in (3, {"chance": "low"}, {"entropy": 1.0}):
        assert "`" in refusal(changed(adversary=value))


def test_the_command_is_quoted_for_a_shell():
    sets = {"act": "; rm -rf ~", "n_latent": 5, "widths": [1, 2]}
    row = parse_row(json.dumps(changed(hyperparameters=sets, overrides=sets, preset="published")))
    assert row.command == (
        "starbench run --method fader --task apogee-giants --scale full --seed 0"
        " --preset published --set 'act=; rm -rf ~' --set n_latent=5 --set 'widths=[1, 2]'"
        " --threads 2"
    )


PRINTABLE = st.text(string.ascii_letters + string.digits + " <>&|`'\"äπ[]/", max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SETTINGS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    NUMBERS,
    PRINTABLE,
    st.lists(st.one_of(st.integers(-(2**53), 2**53), NUMBERS), max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(
    hyperparameters=st.dictionaries(PRINTABLE.filter(bool), SETTINGS, max_size=5),
    reference=PRINTABLE.filter(bool),
    seed=st.integers(0, 2**63 - 1),
    swap_gap=st.floats(-1e150, 1e150),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
)
def test_rows_survive_writing_and_reading(
    tmp_path_factory, hyperparameters, reference, seed, swap_gap, shares
):
    content = changed(hyperparameters=hyperparameters, overrides={}, reference=reference, seed=seed)
    content["metrics"]["swap_gap"] = figure(swap_gap)
    for name, share in zip(results.SHARES, shares, strict=True):
        content["metrics"][name] = figure(share)
    row = parse_row(json.dumps(content))
    path = tmp_path_factory.mktemp("row") / "row.json"
    write_row(row, path)
    again = read_row(path)
    assert again == row
    assert again.hyperparameters == hyperparameters
    assert [type(value) for value in again.hyperparameters.values()] == [
        type(hyperparameters[key]) for key in again.hyperparameters
    ]
    assert row_text(again) == path.read_text(encoding="utf-8")


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(sorted(CONTENT)),
)
def test_any_value_in_any_field_is_accepted_or_refused_in_one_sentence(value, name):
    text = json.dumps(changed(**{name: value}))
    try:
        row = parse_row(text, "row.json")
    except RowError as error:
        assert str(error).startswith("row.json: ")
        assert str(error).isprintable()
    else:
        assert parse_row(row_text(row)) == row


def test_ranges_cover_every_metric():
    from starbench.metrics import METRICS

    for name, metric in METRICS.items():
        low, high = results.possible_range(name)
        assert low < high
        if metric.unit == "share of stars":
            assert (low, high) == (0, 1)
        if name.endswith("mse") or "mse_" in name:
            assert (low, high) == (0, math.inf)
