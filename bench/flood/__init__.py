"""A flood beside calls: the daemons as an operator starts them, authenticated calls by sipp, datagrams from processes of ours."""
