"""Whether the numbers of a leaderboard follow from the bytes that they name."""
