"""How quantised cells may be packed for other programs, as paths spell it: `…/export-gptq/config.json`."""

PACKED = ("awq", "compressed-tensors", "gptq")
