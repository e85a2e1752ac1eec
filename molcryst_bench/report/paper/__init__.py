"""The tables and figures of the paper that this benchmark starts from, and what shows them here."""
