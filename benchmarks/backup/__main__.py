"""``python -m benchmarks.backup``: how fast backups are; see docs/benchmarks.md."""

import argparse

from benchmarks.arguments import add_output, positive
from benchmarks.backup.families import DATASTORES, family
from benchmarks.process import MIB
from benchmarks.report import add_part
from guestagent.system import threads


def main() -> None:
    """Measure, print the table and add everything to the JSON."""
    settings = _parse()
    threads.select()
    from benchmarks.backup.measuring import measure

    measured = family(settings.datastore)
    report = measure(measured, settings.rounds, settings.size_mib * MIB)
    add_part(settings.output, measured.part, report.document())
    print(f"\nBackups of {measured.name}\n\n{report.table()}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__)
    parser.add_argument("--datastore", choices=DATASTORES, default=DATASTORES[0], help=f"whose ({DATASTORES[0]})")
    parser.add_argument(
        "--rounds",
        type=positive,
        help="turns of everyone (one for every order that is needed: 6 of three ways, 10 of five)",
    )
    parser.add_argument("--size-mib", type=positive, default=2048, help="MiB of data, at least (2048)")
    add_output(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
