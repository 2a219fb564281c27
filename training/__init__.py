"""How the demo model is made: corpus, rows, network, training, export, evaluation. Not shipped."""
