"""What Snakemake asks for while it parses the workflow, and the ledger. Knows settings and grammar; no torch."""
