"""What goes with the damage: traits of languages, drift, loss on benchmarks."""
