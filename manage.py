#!/usr/bin/env python
"""Run a management command of the project."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sipuri_project.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A bad variable is the operator's to mend: one sentence, not a stack.
        sys.exit(f"Configuration error: {error}")
