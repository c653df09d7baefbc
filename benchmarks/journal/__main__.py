"""``python -m benchmarks.journal``: what the journal of operations costs; see docs/benchmarks.md."""

import argparse

from benchmarks.arguments import add_output, positive
from benchmarks.report import add_part
from guestagent.system import threads


def main() -> None:
    """Measure, print the tables and add everything to the JSON."""
    settings = _parse()
    threads.select()
    from benchmarks.journal.measuring import measure

    report = measure(settings.rounds, settings.repeats)
    add_part(settings.output, "journal", report.document())
    print(f"\n{report.table()}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=20, help="how often everything takes turns (20)")
    parser.add_argument("--repeats", type=positive, default=15, help="operations of every kind in every turn (15)")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
