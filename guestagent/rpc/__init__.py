"""The wire: requests in, answers out, reports to the conductor."""
