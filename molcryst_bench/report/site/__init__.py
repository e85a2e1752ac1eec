"""The static site: plain pages that work from a folder and load nothing from elsewhere."""
