"""What every room stands on: errors for people, safe files, checked settings."""
