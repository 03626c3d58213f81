"""Nodes of one method, in the order in which data flows: training, verdict, report."""
