"""What the journal of operations costs, and what it costs those who do not use it."""
