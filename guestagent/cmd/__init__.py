"""The commands: ``guestagent`` and ``guestagentctl``."""
