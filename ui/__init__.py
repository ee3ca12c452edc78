"""The page: draws what the engine says and passes on what a person asks. It holds no rule about training."""
