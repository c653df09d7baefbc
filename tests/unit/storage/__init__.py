"""Storage strategies that the runtime has built in."""
