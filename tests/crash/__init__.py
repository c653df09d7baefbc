"""The agent, its server, its broker, its disk and its machine's power taken away at every moment of every operation."""
