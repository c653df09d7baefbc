"""Module drivers: what applies the small files that the control plane sends."""
