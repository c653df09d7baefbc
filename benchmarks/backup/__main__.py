"""``python -m benchmarks.backup``: how fast backups are; see docs/benchmarks.md."""

import argparse

from benchmarks.arguments import add_output, positive
from benchmarks.process import MIB
from benchmarks.report import add_part
from guestagent.system import threads


def main() -> None:
    """Measure, print the table and add everything to the JSON."""
    settings = _parse()
    threads.select()
    from benchmarks.backup.measuring import measure

    report = measure(settings.rounds, settings.size_mib * MIB)
    add_part(settings.output, "backup", report.document())
    print(f"\n{report.table()}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=positive,
        default=6,
        help="turns of everyone; six have every order (6)",
    )
    parser.add_argument("--size-mib", type=positive, default=2048, help="MiB of data, at least (2048)")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
