"""From the published gpt-oss checkpoint to EXL2: `inkling convert`.

Owns: reading what is published (`source`), recipes (`recipe`), what is done to a matrix (`methods`),
and writing a checkpoint that survives being killed (`output`). Does not know: how a model runs.
"""
