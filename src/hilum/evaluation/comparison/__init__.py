"""Models side by side: on the same films (compare), and runs by what validation said of them (leaderboard)."""
