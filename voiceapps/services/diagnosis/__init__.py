"""What is written for the diagnosis of calls: verdicts, files of calls, and filters with a name."""
