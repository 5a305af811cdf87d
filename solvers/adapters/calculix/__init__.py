"""The adapter for CalculiX (ccx): input deck, run, readers of `.dat` and `.frd` files."""
