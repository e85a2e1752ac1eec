"""From finished cells to tables, figures and a static site."""
