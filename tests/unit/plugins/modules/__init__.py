# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules: what they run, return and leave, with what stands for the programs around them."""
