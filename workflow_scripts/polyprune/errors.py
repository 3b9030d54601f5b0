"""The one exception that means: the user can mend this, and the message says how."""


class UserError(Exception):
    """What is wrong, where, which value, and what to do. Shown without a traceback."""
