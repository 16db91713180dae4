"""HTTP and MCP endpoints for other programs."""
