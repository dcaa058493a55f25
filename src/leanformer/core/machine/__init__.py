"""What this machine is and how work is done in processes of their own."""
