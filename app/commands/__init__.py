"""Commands that need more than a few lines; ``app.cli`` names them."""
