"""The tests, mirroring the tree; what they share is in :mod:`tests.support`."""
