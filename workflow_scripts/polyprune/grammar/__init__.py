"""Words that paths and the configuration are made of, each with one spelling: one cell, one path.

Imported while Snakemake parses the workflow and by every other room; imports nothing of ours and nothing heavy.
"""
