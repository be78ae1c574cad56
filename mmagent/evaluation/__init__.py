"""How good a model is: metrics, probes, perturbations and pages for human raters."""
