"""The stream of a backup, from its source into a store and back."""
