"""Networks made anew that compute the same."""
