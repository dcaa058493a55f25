"""Mechanisms against dense attention: measured on this machine, drawn and advised."""
