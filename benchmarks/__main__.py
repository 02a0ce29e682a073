"""Measure starbench's fast parts against named alternatives, and print the ratios."""

import sys
from pathlib import Path

import click

from benchmarks import data, kernels, training, twin_ranking
from benchmarks.measure import FULL, TINY, Failed
from benchmarks.report import chapter, heading, machine

PARTS = {
    "ranking": twin_ranking.measure,
    "training": training.measure,
    "data": data.measure,
    "kernels": kernels.measure,
}
RESULTS = Path(__file__).with_name("RESULTS.md")


@click.command(help=__doc__)
@click.option(
    "--only",
    type=click.Choice(list(PARTS)),
    multiple=True,
    help="Measure this part only; may be given several times.",
)
@click.option("--write", is_flag=True, help="Also write RESULTS.md; not with --only or --tiny.")
@click.option("--tiny", is_flag=True, help="Sizes that take seconds, to try the command.")
def main(only: tuple[str, ...], write: bool, tiny: bool) -> None:
    if write and (only or tiny):
        # The page says that one run measured all of it.
        raise click.UsageError("--write needs a complete run: leave out --only and --tiny.")
    size = TINY if tiny else FULL
    text = heading(machine())  # before this run loads the machine
    click.echo(text, nl=False)
    for name, measure in PARTS.items():
        if only and name not in only:
            continue
        try:
            section = measure(size, lambda message: click.echo(message, err=True))
        except Failed as failure:
            raise click.ClickException(str(failure)) from failure
        click.echo(chapter(section), nl=False)
        text += chapter(section)
    if write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
