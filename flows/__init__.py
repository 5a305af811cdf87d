"""Flows, deployments and the command line: composes the other rooms, alone imports Prefect."""
