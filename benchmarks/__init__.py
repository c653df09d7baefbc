"""What the agent costs, beside the least that it could cost and beside Trove's own."""
