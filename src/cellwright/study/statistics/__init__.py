"""What trials and seeds can say, and how sure that is."""
