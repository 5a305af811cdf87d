"""Krylov methods that recycle: GCRO-DR and deflated conjugate gradients."""

__all__: list[str] = []
