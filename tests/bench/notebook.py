"""A notebook of one cell, where `clusterlab lab 00` finds it."""

from __future__ import annotations

import json
from pathlib import Path


def write_notebook(folder: Path, code: str, lab: str = "00") -> None:
    """Write a notebook with this cell into the labs of a project folder."""
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "only",
        "metadata": {},
        "outputs": [],
        "source": code,
    }
    kernel = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / "labs" / f"{lab}_bench" / f"{lab}_bench.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
