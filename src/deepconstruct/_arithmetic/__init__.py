"""What building, composing and certifying share: roundoff, intervals, exact grids."""
