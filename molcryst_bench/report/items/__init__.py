"""Single test items: their structures, and what models say of them."""
