"""Local bases: solutions are clustered by shape, each cluster has a basis of its own."""
