"""The cost of relaying a packet: plain forwarding, rtpengine and both planes of our relay."""
