"""Sources of text behind one small interface: generated (demo), from the hub (hub), from your own files (files)."""
