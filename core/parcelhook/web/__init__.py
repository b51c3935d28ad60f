"""What the service answers over HTTP: webhooks, shipments, health."""
