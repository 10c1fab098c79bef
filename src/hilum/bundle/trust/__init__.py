"""What a bundle may hold and take before it is trusted."""
