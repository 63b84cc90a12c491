"""The HTTP faces: webhooks, the JSON API, health."""
