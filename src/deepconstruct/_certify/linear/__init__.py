"""Linear networks: their matrices, and the stages of fast transforms."""
