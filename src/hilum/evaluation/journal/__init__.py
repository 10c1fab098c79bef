"""What journals ask of a report, as far as hilum knows it: flow, precision, failures, checklists."""
