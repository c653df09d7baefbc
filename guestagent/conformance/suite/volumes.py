"""The data volume, as far as it can be tried without a block device."""

from guestagent.conformance.claims import claims
from guestagent.conformance.guest import Guest


@claims("get_filesystem_stats")
class TestVolume:
    """What is told of the file system that holds the data."""

    def test_the_numbers_fit_together(self, guest: Guest) -> None:
        found = guest.do("get_filesystem_stats", fs_path=None)
        assert 0 <= found["avail_blocks"] <= found["free_blocks"] <= found["total_blocks"]
        assert found["block_size"] > 0
        size = found["total_blocks"] * found["block_size"] / (1 << 30)
        assert abs(found["total"] - size) <= max(0.02, size * 0.02)
        assert 0 <= found["used"] <= found["total"]
