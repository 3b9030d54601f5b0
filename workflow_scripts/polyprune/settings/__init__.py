"""What the configuration may say: its types, a file a section; what types cannot say; problems told with their lines.

Read at parse time, so no torch. Imports the grammar only.
"""
