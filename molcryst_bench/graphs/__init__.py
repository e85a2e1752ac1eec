"""Records to adjacency lists, graph stores, splits and batches."""
