"""``python -m benchmarks.backup``: how fast backups are; see docs/benchmarks.md."""

import argparse

from benchmarks.arguments import add_output, positive
from benchmarks.process import MIB
from benchmarks.report import add_part
from guestagent.system import threads


def main() -> None:
    """Measure, print the table and add everything to the JSON."""
    threads.select()
    from benchmarks.backup.families import FAMILIES
    from benchmarks.backup.measuring import measure

    settings = _parse(list(FAMILIES))
    family = FAMILIES[settings.datastore]
    report = measure(family, settings.rounds, settings.size_mib * MIB)
    add_part(settings.output, family.part, report.document())
    print(f"\n{report.table()}")


def _parse(datastores: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__)
    parser.add_argument("--datastore", choices=datastores, default=datastores[0], help=f"whose ({datastores[0]})")
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
