"""The proof of an image: built, booted, and driven as a control plane does."""
