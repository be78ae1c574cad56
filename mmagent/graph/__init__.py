"""Graphs: typed DAGs of tools as data; building, checking, routing and drawing them. Nothing here runs a tool."""
