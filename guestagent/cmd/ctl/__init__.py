"""What ``guestagentctl`` is made of: a module per command, and what they share."""
