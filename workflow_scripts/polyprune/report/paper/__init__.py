"""A study beside the paper: its printed numbers, its claims one by one."""
