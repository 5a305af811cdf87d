"""Reduced models: bases, regression and the queries that engineers send (no code yet)."""
