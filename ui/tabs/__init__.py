"""The three places: Train, Runs, Try."""
