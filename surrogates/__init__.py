"""Neural surrogates and their online training (no code yet)."""
