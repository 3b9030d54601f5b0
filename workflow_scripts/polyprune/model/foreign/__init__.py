"""Checkpoints that others made: a module a layout, and what of them is a cell."""
