"""A Run becomes a Bundle, one ONNX file with all that belongs to it; a Bundle predicts."""
