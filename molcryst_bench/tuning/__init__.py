"""Searches for hyperparameters: spaces, trials, who proposes them, and what came of them."""
