"""Fitting one model to one task, and predicting with it afterwards."""
