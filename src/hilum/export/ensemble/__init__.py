"""Several bundles become one: their graphs joined, their answers averaged, calibrated together."""
