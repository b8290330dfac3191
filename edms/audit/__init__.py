"""The audit trail: what changed, from what to what, by whom."""
