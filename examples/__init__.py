"""What the project does, to be looked at."""
