"""Benchmarks: the harness's tasks, our language model under it, MKQA. Between stages and model."""
