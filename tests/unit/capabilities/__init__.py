"""The ready-made halves of a manager, in small managers of the tests' own."""
