"""The transfer benchmark as tables, figures and a page."""
