"""Other people's solvers behind one interface: a new code needs one class, see `external`."""
