"""Module drivers that the runtime has built in."""
