"""The stage that looks into every model: plans, runs and what they leave behind."""
