"""What the control plane asks of the call flow, which it knows nothing of: settings name the functions here."""
