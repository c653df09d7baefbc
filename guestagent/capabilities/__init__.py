"""Ready-made halves of a manager: derive from those that fit, implement their abstract methods.

Each class turns a few questions about a database into the calls of one capability, the same way for
every database.
"""
