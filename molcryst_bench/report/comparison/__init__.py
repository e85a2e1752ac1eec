"""Two models of a task beside each other, item by item."""
