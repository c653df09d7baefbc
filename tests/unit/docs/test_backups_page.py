"""The options on the page about backups are those of the code, with their defaults."""

from pathlib import Path

from oslo_config import cfg

from guestagent.conf import backup

PAGE = Path(__file__).parents[3] / "docs" / "backups.md"


def test_every_option_is_in_the_table_with_its_default() -> None:
    section = PAGE.read_text().partition("\n## Options\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in section.splitlines() if line.startswith("| `")]
    assert sorted((row[0], row[1]) for row in rows) == sorted((f"`{one.name}`", shown(one)) for one in backup.OPTIONS)


def shown(option: cfg.Opt) -> str:
    """A default as the table has it."""
    return "" if option.default in (None, []) else f"`{option.default}`"
