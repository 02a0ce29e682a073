"""Rows and suites as named values, for the CSV files and the data frames."""

from collections.abc import Iterable, Mapping, Sequence

from starbench.leaderboard.statistics.suite_scores import SuiteScores, TrackScore
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.metrics import METRICS, family
from starbench.results.schema import Row


def row_facts(row: Row) -> dict[str, object]:
    """Return all fields of a row except its metrics and libraries, by column."""
    return {
        "task": row.task,
        "task_version": row.task_version,
        "scale": row.scale,
        "data_fingerprint": row.data_fingerprint,
        "method": row.method,
        "method_version": row.method_version,
        "label_access": row.label_access,
        "control": row.control,
        "seed": row.seed,
        "status": row.status,
        "message": row.message,
        "settings_digest": row.settings_digest,
        "preset": row.preset,
        "overrides": row.overrides,
        "reference": row.reference,
        "selection_rule": row.selection.rule,
        "selected_epoch": row.selection.epoch,
        "epochs": row.epochs,
        "n_parameters": row.n_parameters,
        **{f"seconds.{stage}": row.seconds.get(stage) for stage in ("data", "fit", "score")},
        "kernel_seconds": None if row.load is None else row.load.kernel_seconds,
        "kernels": row.kernels,
        "runs_at_once": None if row.load is None else row.load.runs_at_once,
        "peak_memory_mb": row.peak_memory_mb,
        "processor": row.hardware.processor,
        "processor_model": row.hardware.processor_model,
        "instruction_sets": row.hardware.instruction_sets,
        "linear_algebra": row.hardware.linear_algebra,
        "accelerator": row.hardware.accelerator,
        "threads": row.hardware.threads,
        "starbench_version": row.starbench_version,
        "commit": row.commit,
        "dirty": row.dirty,
        "ranks_sha256": row.ranks_sha256,
        "predictions_sha256": row.predictions_sha256,
        "code_sha256": row.code.sha256 if row.code else None,
        "state_sha256": row.state_sha256,
        "source_sha256": row.source_sha256,
        "environment_sha256": row.environment_sha256,
        "package": row.code.package if row.code else None,
        "outside_data": row.declared.outside_data,
        "pretraining": row.declared.pretraining,
        "code_from": row.declared.code,
        "looks_before": row.looks_before,
        "command": row.command,
    }


def metric_names(rows: Iterable[Row]) -> list[str]:
    """Return the metrics that any row has, in the order of their definitions."""
    order = {name: number for number, name in enumerate(METRICS)}
    return sorted(
        {name for row in rows for name in row.metrics},
        key=lambda name: (order.get(family(name), len(order)), name),
    )


def metric_facts(row: Row, names: Sequence[str]) -> dict[str, object]:
    """Return value, interval and version of each metric by column; None where a row lacks it."""
    values: dict[str, object] = {}
    for name in names:
        estimate = row.metrics.get(name)
        for suffix, field in (("", "value"), (".low", "low"), (".high", "high"),
                              (".version", "version")):  # fmt: skip
            values[name + suffix] = None if estimate is None else getattr(estimate, field)
    return values


def suite_facts(scores: SuiteScores) -> list[dict[str, object]]:
    """Return the methods of a suite as named values, the information bound last.

    Parameters
    ----------
    scores : SuiteScores

    Returns
    -------
    list of dict
        ``score`` with the ends ``score.low`` and ``score.high`` of its interval, and for each
        family ``family.<name>``, are means of the gap closed, None without a score. For each track
        ``<task>`` is the share of nearest twins and ``<task>.gap_closed`` the gap closed, None
        where they are missing.
    """
    lines: list[dict[str, object]] = []
    for line in scores.lines:
        row, score = line.row, line.score
        lines.append(
            {
                "suite": scores.suite.name,
                "method": row.method,
                "method_version": row.method_version,
                "settings_digest": row.settings_digest,
                "overrides": row.overrides,
                "label_access": row.label_access,
                "control": row.control,
                "seeds": line.n_seeds,
                "level": line.level,
                "rank": line.rank,
                "score": score and score.value,
                "score.low": score and score.low,
                "score.high": score and score.high,
                **{
                    f"family.{family}": score and score.families[family]
                    for family in scores.suite.families
                },
                **_track_facts(scores, line.tracks),
            }
        )
    if scores.bound:
        row = next(iter(scores.bound.values())).group.row
        known = {
            "suite": scores.suite.name,
            "method": BOUND,
            "label_access": row.label_access,
            "control": row.control,
            **_track_facts(scores, scores.bound),
        }
        names = lines[0] if lines else known
        lines.append({name: known.get(name) for name in names})
    return lines


def _track_facts(scores: SuiteScores, tracks: Mapping[str, TrackScore]) -> dict[str, object]:
    facts: dict[str, object] = {}
    for task in scores.suite.tasks:
        of_track = tracks.get(task)
        facts[task] = of_track and of_track.share
        facts[f"{task}.gap_closed"] = of_track and of_track.gap_closed
    return facts
