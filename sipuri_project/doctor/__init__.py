"""Examine the installation from this machine: what is wrong, and what mends it (`manage.py doctor`, the console's page of health).

Theory of operation. Each module looks at one subject. It gathers facts (the settings, the kernel, sockets, the database), and a pure
function judges them, so that each fault can be made up in a test. Facts of this machine are only facts of this machine: roles may run
elsewhere, and what runs there is seen by its heartbeats alone.
"""

from sipuri_project.doctor.examination import examine

__all__ = ["examine"]
