"""One public function per rule: reads files, calls the layers below, writes files. Knows nothing of Snakemake."""
