"""Networks that compute something else: noise, new weights, fewer weights."""
