"""What looking into models has found, as tables, figures and pages."""
