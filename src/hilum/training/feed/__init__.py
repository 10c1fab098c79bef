"""Examples become batches on the device."""
