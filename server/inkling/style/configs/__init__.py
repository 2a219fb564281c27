"""What formatters' and linters' configurations declare. Pure but for reading the files.

Only what a tool is told, or does by default where it is told to format, is a rule. A file that
cannot be read is a problem line, never an exception.
"""
