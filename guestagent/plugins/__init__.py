"""Plugins: what is installed, what the image declares of it, and the loading of exactly that."""
