"""What is written to disk and to terminals: complete or not at all."""
