"""What building, composing, counting and certifying share: roundoff, intervals, exact grids."""
