"""What models have learnt: roughness, attributions and how far to trust them, embeddings."""
