"""What was labeled elsewhere comes in, and what was read here goes out: COCO, Label Studio, tables, DICOM reports."""
