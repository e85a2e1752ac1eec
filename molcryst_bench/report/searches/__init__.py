"""What searches for hyperparameters have found: tables, figures, pages."""
