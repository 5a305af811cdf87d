"""Empirical cubature: few points with positive weights that integrate given functions."""
