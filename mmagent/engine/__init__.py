"""The engine: plans and runs checked graphs. It knows tools by their contract alone, and no model."""
