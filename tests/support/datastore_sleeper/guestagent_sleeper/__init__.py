"""A datastore that takes as long as a test wants, and counts what it was asked."""
