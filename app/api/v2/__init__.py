"""The Open Inference Protocol v2 over HTTP: each flow as the models NAME.encode, NAME.factors and NAME.invert."""
