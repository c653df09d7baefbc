"""What a builder chose."""

from guestagent_image.selection import Selection


def test_distributions_have_the_names_of_their_plugins():
    chosen = Selection("mariadb", backup=("mariadb_dump",), storage=("swift", "local"), modules=("ping",))

    assert chosen.distributions({}) == [
        "guestagent",
        "guestagent-backup",
        "guestagent-mariadb",
        "guestagent-mariadb-dump",
        "guestagent-swift",
    ]


def test_one_distribution_may_offer_what_has_other_names():
    offers = {("guestagent.datastore", "valkey"): "guestagent-redis", ("guestagent.backup", "dump"): "guestagent-redis"}

    assert Selection("valkey", backup=("dump",)).distributions(offers) == [
        "guestagent",
        "guestagent-backup",
        "guestagent-redis",
    ]


def test_the_declaration_names_them_in_their_order():
    chosen = Selection("mariadb", backup=("mariabackup",), storage=("swift", "local"))

    assert chosen.declaration.splitlines() == [
        "[image]",
        "datastore = mariadb",
        "backup_strategies = mariabackup",
        "storage_strategies = swift,local",
        "modules = ping",
    ]


def test_what_strategies_share_is_there_with_one_only():
    assert "guestagent-backup" in Selection("redis", archive=("logs",)).distributions({})
    assert Selection("redis").distributions({}) == ["guestagent", "guestagent-redis"]
