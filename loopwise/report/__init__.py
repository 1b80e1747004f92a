"""Turns a Summary into what people look at: charts, the page, tables for the terminal."""
