"""Circuits of smooth gates, gate by gate."""
