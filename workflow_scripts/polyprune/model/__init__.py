"""Everything that touches transformers: checkpoints, streaming layer by layer, compressing, training."""
