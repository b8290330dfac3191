"""Tags of the app's templates."""
