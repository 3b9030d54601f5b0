"""The user's cluster: what it is like, and what Snakemake's Slurm plugin leaves to us. Runs where Snakemake runs."""
