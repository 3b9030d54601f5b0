"""Figures: rows that a figure shows of the measurements, and their drawing. Reads tables only."""
