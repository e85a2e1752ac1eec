"""Models of others: read without trust, checked, and measured like our own."""
