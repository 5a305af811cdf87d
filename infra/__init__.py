"""Records, storage, stream and catalogue of datasets; knows no physics.

Nothing is imported here, so that ``import infra.records`` stays light: the
storage library (Zarr) is loaded only by the modules that write or read arrays.
"""
