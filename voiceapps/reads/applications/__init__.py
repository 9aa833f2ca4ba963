"""What pages show of applications."""
