"""Parts that methods share; none of them is a method of the leaderboard."""
