"""Tasks times models times seeds: which cells there are, what is done, and doing the rest."""
