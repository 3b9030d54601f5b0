"""Compression methods: one module each; what the workflow must know of them is in `grammar/methods.py`.

A method's module has `statistic`, what it needs to know of a layer's inputs, and `compress`, what it does to the
matrices that share an input (see `methods/wanda.py`). It is imported by name, so editing one method reruns only its own
cells.
"""
