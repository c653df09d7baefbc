"""Where objects are kept: the interface of storage strategies, and the local directory."""
