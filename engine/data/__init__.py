"""The person's rows: opened (sources), looked at (profile), split and made ready for training (split)."""
