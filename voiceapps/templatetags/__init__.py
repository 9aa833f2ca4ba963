"""What the console's templates use."""
