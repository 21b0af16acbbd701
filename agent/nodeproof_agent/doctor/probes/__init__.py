"""What the doctor looks at; nothing here judges.

Each module has the facts of one subject and the function that sees them in a ``Machine``.
"""
