"""One solver object for a whole sequence of linear systems: what one solve made, the next reuses."""
