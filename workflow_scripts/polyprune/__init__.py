"""polyprune: in which language should a multilingual language model be calibrated when it is compressed?"""

__version__ = "0.1.0"
