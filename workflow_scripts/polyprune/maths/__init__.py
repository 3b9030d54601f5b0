"""Tensors in, tensors out: the methods' arithmetic, without files, models or workflow."""
