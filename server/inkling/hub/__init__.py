"""Checkpoints on this machine: `inkling model pull`, `list` and `use`.

Owns: what a repository of the Hugging Face hub holds (`remote`, through `library`), getting it
whole (`download` a file, `pull` a checkpoint), what is in the models folder (`local`), and the
setting that chooses among it (`choice`). Does not know: what is in a weight file. Needs no torch.
"""
