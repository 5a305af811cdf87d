"""Regression of the coefficients of reduced models, one method per file; `registry` names them."""
