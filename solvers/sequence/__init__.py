"""One solver object for a whole sequence of linear systems, which reuses what it has made."""
