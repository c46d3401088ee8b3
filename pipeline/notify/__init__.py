"""Who is told of a run when it ends: people by message, dashboards by numbers."""
