"""Rules of the product that need no database: admission, CIDR, regions, the ends of a call, reports of daemons."""
