"""Large, realistic data sets, the same for the same seed on every database engine."""
