"""How an order becomes fulfillments: plan, intent, create, settle."""
