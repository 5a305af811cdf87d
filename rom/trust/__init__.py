"""How far an answer can be trusted: an error indicator and the trained range."""
