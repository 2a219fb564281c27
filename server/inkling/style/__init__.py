"""The team's style: rules from the user's file, documents, configurations and the code itself.

Pure but for reading files. Each rule says where it comes from; `profile.py` says who wins, and
`render.py` what of it goes into the prompt.
"""
