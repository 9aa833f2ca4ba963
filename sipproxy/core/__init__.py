"""The proxy's decisions, without any input or output: messages and the time go in, messages and events come out."""
