"""One module per file format: save, load, checksum. The layout is in each module's docstring."""
